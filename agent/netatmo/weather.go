package netatmo

import (
	"context"
	"net/url"
	"strconv"
)

const (
	stationsEndpoint = "getstationsdata"
	coachesEndpoint  = "gethomecoachsdata"
)

// Weather returns the state of all weather stations: the user's own, those that
// others share with the user and, with favorites, the user's favourites. It makes
// one request of priority Live.
func (c *Client) Weather(ctx context.Context, favorites bool) (Answer, error) {
	form := url.Values{"get_favorites": {strconv.FormatBool(favorites)}}
	return c.devices(ctx, Weather, request{endpoint: stationsEndpoint, form: form})
}

// HomeCoaches returns the state of all home coaches. It makes one request of
// priority Live.
func (c *Client) HomeCoaches(ctx context.Context) (Answer, error) {
	return c.devices(ctx, HomeCoach, request{endpoint: coachesEndpoint})
}

// devices reads an answer whose body is {"devices": […]}, one device at a time.
func (c *Client) devices(ctx context.Context, family Family, r request) (Answer, error) {
	var d decoder
	env, err := c.call(ctx, r, func(s *stream) error {
		d = decoder{family: family}
		return s.only("devices", d.device)
	})
	if err != nil {
		return Answer{}, err
	}
	d.finished()
	return env.answer(d), nil
}
