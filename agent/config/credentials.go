package config

import (
	"os"
	"strings"
)

const (
	howToRegister = "sign in at https://dev.netatmo.com, open My apps → Create (or an app you have) and copy its "
	howToTry      = " To see the agent at work without an account, run: netatmo-agent demo"
)

// credentials returns the client ID and secret of the app that the user has
// registered at Netatmo.
func (l *loader) credentials(env *environment, required bool) (string, Secret) {
	const id, secret, secretFile = "NETATMO_CLIENT_ID", "NETATMO_CLIENT_SECRET", "NETATMO_CLIENT_SECRET_FILE"
	l.credential(id, env.ClientID, required, howToRegister+"client ID."+howToTry)
	if env.ClientSecret != "" && env.ClientSecretFile != "" {
		l.problem(secret, "and "+secretFile+" are both set", "keep one of them; the file is the safer one")
		return env.ClientID, Secret(env.ClientSecret)
	}
	if env.ClientSecretFile == "" {
		howToGet := howToRegister + "client secret, or write it into a file that " + secretFile + " names." + howToTry
		if env.ClientID == "" {
			howToGet = "copy the client secret from the same page, or write it into a file that " + secretFile + " names"
		}
		l.credential(secret, env.ClientSecret, required, howToGet)
		return env.ClientID, Secret(env.ClientSecret)
	}
	content, ok := l.readFile(secretFile, env.ClientSecretFile)
	if !ok {
		return env.ClientID, ""
	}
	text := strings.TrimRight(string(content), "\r\n")
	if text == "" {
		l.problem(secretFile, "names a file that is empty", "write the client secret into it, and nothing else")
	} else {
		l.judge(secretFile, "names a file whose content ", text)
	}
	return env.ClientID, Secret(text)
}

// credential judges the variable of a client ID or secret.
func (l *loader) credential(variable, text string, required bool, howToGet string) {
	switch {
	case text == "" && required:
		what := "is not set"
		if _, set := os.LookupEnv(variable); set || l.name(variable) != variable {
			what = "is set, but empty"
		}
		if other := misspelt(variable); other != "" {
			what += ", but " + other + " is"
		}
		l.problem(variable, what, howToGet)
	case text != "":
		l.judge(variable, "", text)
	}
}

// judge looks at a client ID or secret without ever showing it.
func (l *loader) judge(variable, where, text string) {
	switch {
	case bare(text) != text:
		l.problem(variable, where+"begins or ends with blanks or quotes, which would be sent to Netatmo as part of it",
			"remove them; docker's --env-file, for one, takes quotes literally")
	case !plain(text):
		l.problem(variable, where+"has blanks, line breaks or other characters in it that no client ID or secret has",
			"copy it once more from the app's page at dev.netatmo.com: it is letters and digits on one line")
	}
}
