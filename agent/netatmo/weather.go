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

// Weather returns the state of all weather stations, the user's own and those
// that others share with the user, and with favorites also the user's
// favourite ones, by one request of priority Live.
func (c *Client) Weather(ctx context.Context, favorites bool) (Answer, error) {
	form := url.Values{"get_favorites": {strconv.FormatBool(favorites)}}
	return c.devices(ctx, Weather, request{endpoint: stationsEndpoint, form: form})
}

// HomeCoaches returns the state of all home coaches, by one request of
// priority Live.
func (c *Client) HomeCoaches(ctx context.Context) (Answer, error) {
	return c.devices(ctx, HomeCoach, request{endpoint: coachesEndpoint})
}

// devices reads an answer whose body is {"devices": […]}, one device at a time.
func (c *Client) devices(ctx context.Context, family Family, r request) (Answer, error) {
	var d decoder
	listed := false
	env, err := c.call(ctx, r, func(s *stream) error {
		d, listed = decoder{family: family}, false
		return s.object(func(key string) error {
			if key != "devices" {
				return s.skip()
			}
			var err error
			listed, err = s.list(d.device)
			return err
		})
	})
	if err != nil {
		return Answer{}, err
	}
	if !listed {
		return Answer{}, r.malformed("it holds no list of devices")
	}
	return env.answer(d), nil
}
