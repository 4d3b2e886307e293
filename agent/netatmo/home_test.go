package netatmo_test

import (
	"errors"
	"net/http"
	"testing"

	"netatmo-agent/agent/netatmo"
)

// TestHomeStatusWithoutState: answers without a state, in all observed forms.
func TestHomeStatusWithoutState(t *testing.T) {
	for _, body := range []string{`{}`, `[]`, `null`, `{"home":{}}`, `{"home":null}`, `{"home":{"id":"h"}}`,
		`{"home":{"persons":[{"id":"p"}]}}`, `{"home":{"rooms":null,"modules":[]}}`, `{"errors":null}`, `{"errors":{}}`} {
		a, err := saying(200, `{"status":"ok","body":`+body+`,"time_server":1760000060}`).HomeStatus(t.Context(), netatmo.Home{ID: "h"})
		if err != nil || len(a.Readings) != 0 || len(a.Rejected) != 0 {
			t.Errorf("%s: %+v, %v; want nothing", body, a, err)
		}
	}
}

// TestUnreachableGateway: a device that Netatmo reports as unreachable gets a
// reading, whatever stale values the answer has.
func TestUnreachableGateway(t *testing.T) {
	const homes = `{"body":{"homes":[{"id":"h","modules":[{"id":"r","type":"NAPlug","name":"Relay"},{"id":"v","type":"NRV"},{"id":"c","type":"NACamera"}]}]}}`
	for _, tc := range []struct{ name, body, want string }{
		{"in the body", `{"home":{"id":"h"},"errors":[{"code":6,"id":"r"}]}}`, "r reachable=0"},
		{"beside the body", `{"home":{"id":"h"}},"errors":[{"code":6,"id":"r"}]}`, "r reachable=0"},
		{"before the home", `{"errors":[{"code":6,"id":"r"}],"home":{"modules":[{"id":"r","type":"NAPlug","wifi_strength":40,"firmware_revision":9}]}}}`, "r reachable=0 firmware=9"},
		{"a valve", `{"errors":[{"code":19,"id":"v"}],"home":{"id":"h"}}}`, "v reachable=0"},
		{"a camera", `{"errors":[{"code":6,"id":"c"}],"home":{"id":"h"}}}`, "c reachable=0"},
		{"a code of refreshes in the API's numbering", `{"errors":[{"code":3,"id":"r"}],"home":{"modules":[{"id":"r","type":"NAPlug","wifi_strength":40}]}}}`, "r wifi=-40"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			source := &tokens{}
			c := serve(t, netatmo.Options{Tokens: source}, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/api/homesdata" {
					w.Write([]byte(homes))
					return
				}
				w.Write([]byte(`{"status":"ok","time_server":1760000060,"body":` + tc.body))
			})
			list, err := c.Homes(t.Context())
			if err != nil || len(list) != 1 {
				t.Fatalf("homes %v, %v", list, err)
			}
			a, err := c.HomeStatus(t.Context(), list[0])
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, r := range a.Readings {
				got += r.ModuleID + " " + values(r.Values)
			}
			if got != tc.want {
				t.Errorf("got %q, want %q; rejected %v", got, tc.want, a.Rejected)
			}
			if len(source.rejected) > 0 {
				t.Error("a device's trouble was taken for a token's")
			}
		})
	}
}

func TestForeignHome(t *testing.T) {
	_, err := saying(400, `{"error":{"code":21,"message":"Invalid home_id"}}`).HomeStatus(t.Context(), netatmo.Home{ID: "5f01"})
	fail, ok := errors.AsType[*netatmo.Error](err)
	if !ok || fail.Class != netatmo.ClassInvalid {
		t.Fatalf("%v; want an error of class invalid", err)
	}
	const want = "homestatus of home 5f01: Netatmo refused the arguments (HTTP 400, code 21, Invalid home_id); " +
		"Netatmo does not answer for a home or device that is only shared with the account; if it is not shared, report this"
	if fail.Error() != want {
		t.Errorf("got  %s\nwant %s", fail, want)
	}
}

func TestNoHomes(t *testing.T) {
	for body, class := range map[string]netatmo.Class{
		`{"homes":[]}`: "", `{"homes":[],"user":{}}`: "", `{}`: "", `[]`: "",
		`{"homes":{}}`: netatmo.ClassMalformed, `{"homes":null}`: netatmo.ClassMalformed, `{"user":{}}`: netatmo.ClassMalformed,
		`{"error":{"code":13}}`: netatmo.ClassScope,
	} {
		homes, err := saying(200, `{"body":`+body+`}`).Homes(t.Context())
		fail, _ := errors.AsType[*netatmo.Error](err)
		if len(homes) != 0 || class == "" && err != nil || class != "" && (fail == nil || fail.Class != class) {
			t.Errorf("%s: %v, %v; want class %q", body, homes, err, class)
		}
	}
}

func TestFaultOfTheBody(t *testing.T) {
	_, err := saying(200, `{"body":{"error":{"code":26},"home":{"id":"h"}}}`).HomeStatus(t.Context(), netatmo.Home{ID: "h"})
	if fail, _ := errors.AsType[*netatmo.Error](err); fail == nil || fail.Class != netatmo.ClassQuota {
		t.Errorf("homestatus: %v", err)
	}
	page, err := saying(200, `{"body":{"error":{"code":26}}}`).Measure(t.Context(), netatmo.MeasureQuery{Columns: columns("Rain")}, netatmo.Live)
	if fail, _ := errors.AsType[*netatmo.Error](err); fail == nil || fail.Class != netatmo.ClassQuota {
		t.Errorf("getmeasure: %v, %v", page, err)
	}
}
