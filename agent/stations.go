package main

import (
	"context"
	"log/slog"
	"maps"
	"sync"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/netatmo"
)

// stationWatch is a client that warns about ids in NETATMO_STATIONS that the
// account does not have. It sees the answers before they are filtered, and
// warns once, after the first answer for each family.
type stationWatch struct {
	*netatmo.Client
	filter config.Filter
	log    *slog.Logger

	mu         sync.Mutex
	unanswered []netatmo.Family
	places     map[string]string // names by id
}

func watchStations(client *netatmo.Client, cfg *config.Config, log *slog.Logger) *stationWatch {
	return &stationWatch{Client: client, filter: cfg.Stations, log: log, unanswered: netatmo.Asked(families(cfg)), places: map[string]string{}}
}

// Weather implements netatmo.API.
func (w *stationWatch) Weather(ctx context.Context, favorites bool) (netatmo.Answer, error) {
	answer, err := w.Client.Weather(ctx, favorites)
	w.note(func(f netatmo.Family) bool { return f == netatmo.Weather }, netatmo.Places(answer.Readings, nil), err)
	return answer, err
}

// HomeCoaches implements netatmo.API.
func (w *stationWatch) HomeCoaches(ctx context.Context) (netatmo.Answer, error) {
	answer, err := w.Client.HomeCoaches(ctx)
	w.note(func(f netatmo.Family) bool { return f == netatmo.HomeCoach }, netatmo.Places(answer.Readings, nil), err)
	return answer, err
}

// Homes implements netatmo.API.
func (w *stationWatch) Homes(ctx context.Context) ([]netatmo.Home, error) {
	homes, err := w.Client.Homes(ctx)
	w.note(netatmo.Family.InHomes, netatmo.Places(nil, homes), err)
	return homes, err
}

func (w *stationWatch) note(answered func(netatmo.Family) bool, places map[string]string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil || len(w.unanswered) == 0 {
		return
	}
	maps.Copy(w.places, places)
	waiting := w.unanswered[:0]
	for _, f := range w.unanswered {
		if !answered(f) {
			waiting = append(waiting, f)
		}
	}
	if w.unanswered = waiting; len(waiting) > 0 {
		return
	}
	for _, warning := range w.filter.Unmatched(w.places) {
		w.log.Warn(warning.String())
	}
}
