package netatmo_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/netatmo"
)

const serverTime = 1760000060

// station wraps devices into an answer of getstationsdata.
func station(devices ...string) string {
	return `{"status":"ok","time_server":` + strconv.Itoa(serverTime) + `,"body":{"devices":[` + strings.Join(devices, ",") + `]}}`
}

// one requests the stations and returns the reading of the single module in
// body.
func one(t *testing.T, body string) netatmo.Reading {
	t.Helper()
	a, err := saying(200, body).Weather(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Readings) != 1 {
		t.Fatalf("%d readings, want 1; rejected: %v", len(a.Readings), a.Rejected)
	}
	return a.Readings[0]
}

// TestWhatVanishes gives a module of each kind what Netatmo is known to send
// when something is missing, and checks which values remain.
func TestWhatVanishes(t *testing.T) {
	for _, tc := range []struct{ name, device, want string }{
		{"absent is not zero", `"type":"NAModule1","dashboard_data":{"time_utc":1760000000,"Humidity":0}`,
			"humidity=0 time=1760000000"},
		{"null is not zero", `"type":"NAModule1","dashboard_data":{"time_utc":1760000000,"Temperature":null,"Humidity":5}`,
			"humidity=5 time=1760000000"},
		{"a string may hold a number", `"type":"NAModule1","dashboard_data":{"time_utc":"1760000000","Temperature":" 20.8"}`,
			"temperature=20.8 time=1760000000"},
		{"but not any text", `"type":"NAModule1","dashboard_data":{"time_utc":1760000000,"Temperature":"0x10","Humidity":"Inf","min_temp":"","max_temp":"1_0"}`,
			"time=1760000000"},
		{"a boolean is no temperature", `"type":"NAModule1","dashboard_data":{"time_utc":1760000000,"Temperature":true}`,
			"time=1760000000"},
		{"containers are no numbers", `"type":"NAModule1","dashboard_data":{"time_utc":1760000000,"Temperature":[1],"Humidity":{"a":1}}`,
			"time=1760000000"},
		{"a float that is an int", `"type":"NAModule3","dashboard_data":{"time_utc":1760000000,"Rain":0,"sum_rain_1":0.101,"sum_rain_24":6.06}`,
			"rain=0 rain_hour=0.101 rain_day=6.06 time=1760000000"},
		{"exponents", `"type":"NAModule1","dashboard_data":{"time_utc":1.76e9,"Temperature":-1.5e-1}`,
			"temperature=-0.15 time=1760000000"},
		{"beyond sense", `"type":"NAModule1","battery_vp":1e13,"rf_status":1e300,"dashboard_data":{"time_utc":1760000000,"Temperature":1e308,"Humidity":-1.1e9,"min_temp":"1e10","max_temp":1e9}`,
			"max=1000000000 time=1760000000"},
		{"overflow", `"type":"NAModule1","dashboard_data":{"time_utc":1760000000,"Temperature":1e400}`,
			"time=1760000000"},
		{"zeros that cannot be measured", `"type":"NAMain","wifi_status":0,"dashboard_data":{"time_utc":1760000000,"Temperature":0,"Humidity":0,"CO2":0,"Noise":0,"Pressure":0.0,"AbsolutePressure":"0"}`,
			"temperature=0 humidity=0 time=1760000000"},
		{"a room without CO2", `"type":"NAModule4","rf_status":0,"battery_percent":0,"battery_vp":0,"dashboard_data":{"time_utc":1760000000,"CO2":0,"min_temp":0}`,
			"min=0 time=1760000000 battery=0"},
		{"zeros that can", `"type":"NAModule2","dashboard_data":{"time_utc":1760000000,"WindStrength":0,"WindAngle":0,"GustStrength":0,"GustAngle":0,"max_wind_str":0}`,
			"wind=0 wind_direction=0 gust=0 gust_direction=0 wind_max=0 time=1760000000"},
		{"no minus zero", `"type":"NAModule1","dashboard_data":{"time_utc":1760000000,"Temperature":-0.0}`,
			"temperature=0 time=1760000000"},

		{"unreachable", `"type":"NAModule4","reachable":false,"firmware":44,"last_seen":1759990000,"rf_status":70,"battery_percent":14,"battery_vp":4448`,
			"reachable=0 firmware=44 last_seen=1759990000"},
		{"unreachable, with the old data", `"type":"NAModule4","reachable":false,"dashboard_data":{"time_utc":1760000000,"Temperature":20}`,
			"reachable=0"},
		{"unreachable station", `"type":"NAMain","reachable":false,"wifi_status":46,"co2_calibrating":false,"firmware":132,"last_status_store":1759990000`,
			"reachable=0 firmware=132 last_seen=1759990000"},
		{"reachable is not said", `"type":"NAModule1","last_seen":1760000000,"battery_percent":87`,
			"battery=87 last_seen=1760000000"},
		{"reachable is a number", `"type":"NAModule1","reachable":1`, "reachable=1"},
		{"reachable is nonsense", `"type":"NAModule1","reachable":"maybe","rf_status":60`, "radio=-60"},
		{"reachable without data", `"type":"NAModule1","reachable":true,"rf_status":60`, "radio=-60 reachable=1"},
		{"data is a list", `"type":"NAModule1","reachable":true,"dashboard_data":[]`, "reachable=1"},

		{"never seen", `"type":"NAModule1","reachable":false,"firmware":255,"rf_status":255,"battery_vp":65535,"battery_percent":100,"last_seen":0,"last_message":0`,
			"reachable=0"},
		{"never seen, without reachable", `"type":"NAModule1","firmware":255,"rf_status":255,"battery_vp":65535,"battery_percent":100,"last_seen":0`,
			""},
		{"battery of a module that was never seen", `"type":"NAModule1","battery_percent":100,"last_seen":0,"rf_status":60,"battery_vp":5000`,
			""},
		{"firmware 255 alone", `"type":"NAMain","firmware":255,"wifi_status":50`, "wifi=-50"},
		{"firmware beyond 255", `"type":"NAMain","firmware":300`, "firmware=300"},
		{"volts are exact", `"type":"NAModule1","battery_vp":5738`, "voltage=5.738"},

		{"calibrating", `"type":"NAMain","co2_calibrating":true,"dashboard_data":{"time_utc":1760000000,"CO2":400,"Temperature":20}`,
			"temperature=20 co2=400 calibrating=1 time=1760000000"},
		{"no wind", `"type":"NAModule2","dashboard_data":{"time_utc":1760000000,"WindStrength":0,"WindAngle":-1,"GustStrength":0,"GustAngle":0,"max_wind_str":0,"max_wind_angle":-1}`,
			"wind=0 gust=0 gust_direction=0 wind_max=0 time=1760000000"},
		{"keys of another kind", `"type":"NAModule2","co2_calibrating":false,"wifi_status":4,"dashboard_data":{"time_utc":1760000000,"WindStrength":3,"Temperature":0,"min_temp":0,"health_idx":0,"Rain":0}`,
			"wind=3 time=1760000000"},
		{"no battery in a station", `"type":"NAMain","battery_percent":100,"battery_vp":6000,"rf_status":1`, ""},
		{"no index in a station", `"type":"NAMain","dashboard_data":{"time_utc":1760000000,"health_idx":2,"Noise":40}`,
			"noise=40 time=1760000000"},
		{"trends", `"type":"NAMain","dashboard_data":{"time_utc":1760000000,"temp_trend":"down","pressure_trend":"up"}`,
			"trend=-1 pressure_trend=1 time=1760000000"},
		{"unknown trends", `"type":"NAMain","dashboard_data":{"time_utc":1760000000,"temp_trend":"sideways","pressure_trend":1}`,
			"time=1760000000"},

		{"no time, but a last contact", `"type":"NAModule1","last_seen":1759999000,"dashboard_data":{"Temperature":3}`,
			"temperature=3 last_seen=1759999000"},
		{"no time at all", `"type":"NAModule1","battery_percent":50,"dashboard_data":{"Temperature":3}`, "battery=50"},
		{"time zero", `"type":"NAModule1","last_seen":1759999000,"dashboard_data":{"time_utc":0,"Temperature":3}`,
			"temperature=3 last_seen=1759999000"},
		{"time before 1970", `"type":"NAModule1","dashboard_data":{"time_utc":-5,"Temperature":3}`, ""},
		{"time in the future", `"type":"NAModule1","last_seen":1759999000,"dashboard_data":{"time_utc":1780000000,"Temperature":3}`,
			"temperature=3 time=1780000000 last_seen=1759999000"},
		{"time in milliseconds", `"type":"NAModule1","last_seen":1760000000000,"dashboard_data":{"time_utc":1760000000000,"Temperature":3}`, ""},
		{"a clock a little ahead", `"type":"NAModule1","dashboard_data":{"time_utc":1760000660,"Temperature":3}`,
			"temperature=3 time=1760000660"},

		{"the last of two equal keys", `"type":"NAModule1","dashboard_data":{"time_utc":1760000000,"Temperature":3,"Temperature":4}`,
			"temperature=4 time=1760000000"},
		{"a device of 2015", `"type":"NAModule1","data_type":["Temperature"],"module_name":"Old"`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := one(t, station(`{"_id":"02:00:00:00:00:01",`+tc.device+`}`))
			if got := values(r.Values); got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
			if !r.Answered.Equal(time.Unix(serverTime, 0)) {
				t.Errorf("answered %s, want the time_server", r.Answered)
			}
		})
	}
}

// TestTimes: Measured and Seen follow the values, if these are plausible.
func TestTimes(t *testing.T) {
	for _, tc := range []struct {
		name, device   string
		measured, seen string
	}{
		{"both", `"last_seen":1759999000,"dashboard_data":{"time_utc":1759998000,"Temperature":3}`, "1759998000", "1759999000"},
		{"no time_utc", `"last_seen":1759999000,"dashboard_data":{"Temperature":3}`, "1759999000", "1759999000"},
		{"no last_seen", `"dashboard_data":{"time_utc":1759998000,"Temperature":3}`, "1759998000", "never"},
		{"no values", `"last_seen":1759999000`, "never", "1759999000"},
		{"unreachable", `"reachable":false,"last_seen":1759999000,"dashboard_data":{"time_utc":1759998000,"Temperature":3}`, "never", "1759999000"},
		{"a little ahead", `"last_seen":1760000661,"dashboard_data":{"time_utc":1760000660}`, "1760000660", "1760000060"},
		{"far ahead", `"last_seen":1780000000,"dashboard_data":{"time_utc":1780000000}`, "1760000060", "1760000060"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := one(t, station(`{"_id":"02:00:00:00:00:01","type":"NAModule1",`+tc.device+`}`))
			if stamp(r.Measured) != tc.measured || stamp(r.Seen) != tc.seen {
				t.Errorf("measured %s, seen %s; want %s and %s", stamp(r.Measured), stamp(r.Seen), tc.measured, tc.seen)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, tc := range []struct {
		name, device    string
		module, station string
		wire            netatmo.WireNames
	}{
		{"all", `"module_name":"Living","station_name":"Home (Living)","home_name":"Home"`,
			"Living", "Home (Living)", netatmo.WireNames{Module: "Living", Station: "Home (Living)", Home: "Home"}},
		{"no station_name", `"module_name":"Living","home_name":"Home"`,
			"Living", "Home", netatmo.WireNames{Module: "Living", Home: "Home"}},
		{"neither it nor home_name", `"module_name":"Living"`,
			"Living", "Living", netatmo.WireNames{Module: "Living"}},
		{"none, and blanks in the id", ``,
			"70:ee:50:00:00:01", "70:ee:50:00:00:01", netatmo.WireNames{Module: "id-70:ee:50 :00:00:01"}},
		{"blank names", `"module_name":" ","station_name":"  ","home_name":""`,
			"70:ee:50:00:00:01", "70:ee:50:00:00:01", netatmo.WireNames{Module: " ", Station: "  "}},
		{"escapes and damaged UTF-8", `"module_name":"a\u00e4\/\"b","station_name":"` + "x\xff" + `"`,
			`aä/"b`, "x\uFFFD", netatmo.WireNames{Module: `aä/"b`, Station: "x\uFFFD"}},
		{"control characters", `"module_name":"a\nb\u001b[31m\u0000","station_name":"` + "x\u0085y\x7f\u2028" + `","home_name":"\t\ud83d\udc68\u200d\ud83d\udc69"`,
			"a b [31m ", "x y  ", netatmo.WireNames{Module: "a b [31m ", Station: "x y  ", Home: " 👨\u200d👩"}},
		{"text that runs backwards", `"module_name":"a\u202eb"`, "a b", "a b", netatmo.WireNames{Module: "a b"}},
		{"a name without end", `"module_name":"` + strings.Repeat("x", 150) + strings.Repeat("ä", 100) + `"`,
			strings.Repeat("x", 150) + strings.Repeat("ä", 50) + "…", strings.Repeat("x", 150) + strings.Repeat("ä", 50) + "…",
			netatmo.WireNames{Module: strings.Repeat("x", 150) + strings.Repeat("ä", 50) + "…"}},
		{"nothing but control characters", `"module_name":"\n\u001b","home_name":"\u0007"`,
			"70:ee:50:00:00:01", "70:ee:50:00:00:01", netatmo.WireNames{Module: "  ", Home: " "}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			device := `{"_id":"70:ee:50 :00:00:01","type":"NAMain"`
			if tc.device != "" {
				device += "," + tc.device
			}
			r := one(t, station(device+"}"))
			if r.ModuleID != "70:ee:50:00:00:01" || r.StationID != "70:ee:50:00:00:01" {
				t.Errorf("ids %q and %q", r.ModuleID, r.StationID)
			}
			if r.ModuleName != tc.module || r.StationName != tc.station || r.Wire != tc.wire {
				t.Errorf("got module %q, station %q, wire %+v", r.ModuleName, r.StationName, r.Wire)
			}
		})
	}
}

// TestOneBadModule: an element that the client does not understand affects no
// other.
func TestOneBadModule(t *testing.T) {
	const good = `{"_id":"02:00:00:00:00:01","type":"NAModule1","reachable":true}`
	for _, bad := range []string{
		`"text"`, `null`, `7`, `[]`, `{}`, `{"_id":null,"type":"NAModule1"}`, `{"_id":"  ","type":"NAModule1"}`,
		`{"_id":"02:00:00:00:00:02"}`, `{"_id":"02:00:00:00:00:02","type":{}}`,
	} {
		a, err := saying(200, station(bad, `{"_id":"70:ee:50:00:00:01","type":"NAMain","modules":[`+bad+`,`+good+`]}`)).Weather(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Readings) != 2 || len(a.Rejected) != 2 {
			t.Errorf("%s: %d readings, rejected %v; want 2 and 2", bad, len(a.Readings), a.Rejected)
		}
	}
}

// TestWhatIsLeftOut: a rejection tells which element of the answer it is about.
func TestWhatIsLeftOut(t *testing.T) {
	a, err := saying(200, station(`7`, `{"type":"NAMain"}`, `{"_id":"70:ee:50:00:00:01","type":"NAMain","modules":[{"type":"NAModule1"},"text",{"_id":"0b:00","type":"NAModule9"}]}`)).Weather(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range a.Rejected {
		got = append(got, e.Error())
	}
	want := []string{
		"device 1 of the answer: is not a JSON object",
		"device 2 of the answer: has no id",
		"module 1 of 70:ee:50:00:00:01: has no id",
		"module 2 of 70:ee:50:00:00:01: is not a JSON object",
		`0b:00: has the unknown type "NAModule9"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestListsWithGaps(t *testing.T) {
	a, err := saying(200, `{"body":{"devices":{"0":{"_id":"70:ee:50:00:00:01","type":"NAMain",
		"modules":{"1":{"_id":"02:00:00:00:00:01","type":"NAModule1"}}},"2":{"_id":"70:ee:50:00:00:02","type":"NAMain"}}}}`).Weather(t.Context(), false)
	if err != nil || len(a.Readings) != 3 {
		t.Errorf("%d readings, error %v; want 3", len(a.Readings), err)
	}
}

// TestListedTwice: no series appears twice in an answer; a module of two
// stations is two series.
func TestListedTwice(t *testing.T) {
	const favourite = `{"_id":"70:ee:50:00:00:01","type":"NAMain","favorite":true,"modules":[{"_id":"02:00:00:00:00:01","type":"NAModule1"}]}`
	const own = `{"_id":"70:ee:50:00:00:01","type":"NAMain","wifi_status":50}`
	const other = `{"_id":"70:ee:50:00:00:02","type":"NAMain","modules":[{"_id":"02:00:00:00:00:01","type":"NAModule1"}]}`
	a, err := saying(200, station(favourite, own, other)).Weather(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range a.Readings {
		got = append(got, r.StationID[15:]+"/"+r.ModuleID[:2]+" "+values(r.Values))
	}
	if want := "01/70 wifi=-50|01/02 |02/70 |02/02 "; strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", strings.Join(got, "|"), want)
	}
	if a.Readings[0].Foreign {
		t.Error("the user's own station counts as a favourite")
	}
}

func TestEmptyAccount(t *testing.T) {
	for _, body := range []string{`{"devices":[]}`, `{"devices":[],"user":{}}`, `{}`, `[]`} {
		a, err := saying(200, `{"status":"ok","body":`+body+`}`).Weather(t.Context(), false)
		if err != nil || len(a.Readings) != 0 || len(a.Rejected) != 0 {
			t.Errorf("%s: %+v, %v; want nothing", body, a, err)
		}
	}
}

func TestClockOffset(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		server     int64
	}{
		{"time_server", station(), serverTime},
		{"as a string", `{"body":{"devices":[]},"time_server":"1760000060"}`, serverTime},
		{"missing", `{"body":{"devices":[]}}`, 0},
		{"zero", `{"body":{"devices":[]},"time_server":0}`, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := time.Now()
			a, err := saying(200, tc.body).Weather(t.Context(), false)
			after := time.Now()
			if err != nil {
				t.Fatal(err)
			}
			if tc.server == 0 {
				if !a.Server.IsZero() || a.Offset != 0 {
					t.Errorf("server %s, offset %s out of nothing", a.Server, a.Offset)
				}
				return
			}
			server := time.Unix(tc.server, 0)
			if !a.Server.Equal(server) || a.Offset < before.Sub(server) || a.Offset > after.Sub(server) {
				t.Errorf("server %s, offset %s", a.Server, a.Offset)
			}
		})
	}
}
