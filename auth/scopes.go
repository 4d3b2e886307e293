package auth

import (
	"slices"
	"strings"

	"golang.org/x/oauth2"
)

// checkScopes logs which of the requested scopes a token answer does not grant.
// Netatmo's answers then lack devices without an error (reported), so only this
// comparison shows it. The scopes arrive as a list or as text, and may include
// more than were requested. Renewals with the same scopes log nothing.
func (s *Source) checkScopes(token *oauth2.Token) {
	var granted []string
	switch list := token.Extra("scope").(type) {
	case string:
		granted = strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' })
	case []any:
		for _, x := range list {
			if scope, ok := x.(string); ok {
				granted = append(granted, scope)
			}
		}
	}
	if len(granted) == 0 {
		return // the answer does not say
	}
	missing := strings.Join(slices.DeleteFunc(slices.Clone(s.cfg.Scopes), func(scope string) bool {
		return slices.Contains(granted, scope)
	}), " ")
	s.mu.Lock()
	news := missing != s.ungranted
	s.ungranted = missing
	s.mu.Unlock()
	if news && missing != "" {
		s.log.Warn("the login does not include all scopes of the device families, so some devices may be missing; to grant them, run netatmo-agent login; to request fewer, set NETATMO_SCOPES",
			"missing", missing)
	}
}
