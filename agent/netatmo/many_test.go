package netatmo_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"netatmo-agent/agent/netatmo"
)

// list returns n elements with numbers in place of #.
func list(n int, element string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strings.ReplaceAll(element, "#", fmt.Sprint(i)))
	}
	return b.String()
}

// Of an account that is too large as many devices are read as fit, and the answer
// says so.
func TestTooManyDevices(t *testing.T) {
	module := `{"_id":"m#","type":"NAModule1","dashboard_data":{"time_utc":1760000000,"Temperature":3}}`
	home := netatmo.Home{ID: "h"}
	for name, tc := range map[string]struct {
		answer string
		ask    func(context.Context, *netatmo.Client) (netatmo.Answer, error)
		want   int
		more   bool
	}{
		"stations":                              {`"devices":[` + list(20_000, `{"_id":"s#","type":"NAMain"}`) + `]`, weather, 7000, true},
		"modules of one station":                {`"devices":[{"_id":"s","type":"NAMain","modules":[` + list(20_000, module) + `]}]`, weather, 7000, true},
		"modules of many stations":              {`"devices":[` + list(2000, `{"_id":"s#","type":"NAMain","modules":[{"_id":"m","type":"NAModule1"},{"_id":"n","type":"NAModule4"},{"_id":"o","type":"NAModule3"},{"_id":"p","type":"NAModule2"}]}`) + `]`, weather, 7000, true},
		"as many as are read":                   {`"devices":[` + list(7000, `{"_id":"s#","type":"NAMain"}`) + `]`, weather, 7000, false},
		"rooms":                                 {`"home":{"rooms":[` + list(20_000, `{"id":"r#","therm_measured_temperature":20}`) + `]}`, status(home), 7000, true},
		"devices of a home":                     {`"home":{"modules":[` + list(20_000, `{"id":"#","type":"NLP","on":true}`) + `]}`, status(home), 7000, true},
		"devices of a home that are not wanted": {`"home":{"modules":[` + list(20_000, `{"id":"#","type":"NAMain"}`) + `]}`, status(home), 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			answer, err := tc.ask(t.Context(), saying(200, `{"body":{`+tc.answer+`},"time_server":1760000060}`))
			if err != nil {
				t.Fatal(err)
			}
			if len(answer.Readings) != tc.want || slices.Contains(answer.Rejected, netatmo.ErrTooMany) != tc.more {
				t.Errorf("%d readings, rejected %v", len(answer.Readings), answer.Rejected)
			}
			if answer.Server.IsZero() {
				t.Error("the answer is not read to its end")
			}
		})
	}
}

func weather(ctx context.Context, c *netatmo.Client) (netatmo.Answer, error) {
	return c.Weather(ctx, false)
}

func status(h netatmo.Home) func(context.Context, *netatmo.Client) (netatmo.Answer, error) {
	return func(ctx context.Context, c *netatmo.Client) (netatmo.Answer, error) { return c.HomeStatus(ctx, h) }
}

// Too many homes, or too many devices in them, cost the last homes, which the log
// says once.
func TestTooManyHomes(t *testing.T) {
	for name, tc := range map[string]struct {
		home string
		want int
	}{
		"homes":            {`{"id":"h#","modules":[{"id":"m#","type":"NLP"}]}`, 1000},
		"devices in homes": {`{"id":"h#","rooms":[` + list(9, `{"id":"r#"}`) + `],"modules":[{"id":"m#","type":"NLP"}]}`, 700},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			body := `{"body":{"homes":[` + list(3000, tc.home) + `]}}`
			c := serve(t, netatmo.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(body))
			})
			for range 2 {
				homes, err := c.Homes(t.Context())
				if err != nil || len(homes) != tc.want {
					t.Fatalf("%d homes, %v", len(homes), err)
				}
			}
			if n := strings.Count(log.String(), "the other homes are left out"); n != 1 {
				t.Errorf("said %d times\n%s", n, log.String())
			}
		})
	}
}
