package attack

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"netatmo-agent/deploy/e2e"
)

// crowded is how many devices a huge account has.
const crowded = 100_000

// mostCrowded is the bound of memory for a huge account, which is the limit of
// memory in the Kubernetes manifest.
const mostCrowded = 96 << 20

// size is a huge answer to requests below a path. In it, # is the number of an
// element and @ the time.
type size struct {
	name, path string
	body       string // begins and ends around the elements, which are at *
	element    string
	number     int
	said       string // in the log
}

const (
	weather = "/api/getstationsdata"
	tooMany = "has more than 7000 rooms and devices"
	tooLong = "is longer than"
)

func sizes() []size {
	const sensor = `"reachable":true,"dashboard_data":{"time_utc":@,"Temperature":20.5,"Humidity":50,"CO2":600,"Noise":40,"Pressure":1013.5,"AbsolutePressure":1000.5,"min_temp":19,"max_temp":22},"battery_percent":70,"wifi_status":50,"rf_status":60,"firmware":181,"last_seen":@`
	var rooms strings.Builder
	for i := range 99 {
		fmt.Fprintf(&rooms, `{"id":"r%d"},`, i)
	}
	long := strings.Repeat("é", 150)
	stations := func(number int, name, element string) size {
		return size{name, weather, `{"devices":[*]}`, element, number, tooMany}
	}
	return []size{
		stations(crowded*4/5, "stations", `{"_id":"70:#","type":"NAMain","module_name":"Station #",`+sensor+`}`),
		stations(crowded/5, "stations with long names", `{"_id":"70:#`+long[:180]+`","type":"NAMain","station_name":"#`+long+`","module_name":"#`+long+`","home_name":"#`+long+`",`+sensor+`}`),
		stations(crowded, "stations without new values", `{"_id":"70:#","type":"NAMain","reachable":true,"dashboard_data":{"time_utc":1700000000,"Temperature":20.5}}`),
		{"modules at a station", weather, `{"devices":[{"_id":"70","type":"NAMain","modules":[*]}]}`, `{"_id":"02:#","type":"NAModule1",` + sensor + `}`, crowded, tooLong},
		{"home coaches", "/api/gethomecoachsdata", `{"devices":[*]}`, `{"_id":"71:#","type":"NHC","station_name":"Coach #",` + sensor + `}`, crowded * 4 / 5, tooMany},
		{"homes", "/api/homesdata", `{"homes":[*]}`, `{"id":"h#","name":"Home #","modules":[{"id":"m#","type":"NLP"}]}`, crowded, "more than 1000 homes"},
		{"rooms in homes", "/api/homesdata", `{"homes":[*]}`, `{"id":"h#","rooms":[` + rooms.String() + `{"id":"r"}]}`, crowded / 100, "more than 1000 homes"},
		{"devices in a home", "/api/homesdata", `{"homes":[{"id":"h","modules":[*]}]}`, `{"id":"m#","type":"NLP","name":"Plug #"}`, crowded, tooLong},
		{"stations of unknown types", weather, `{"devices":[*]}`, `{"_id":"70:#","type":"N#"}`, crowded, ""},
		{"stations", weather, `{"devices":[*]}`, `{"_id":"70:#","type":"NAMain",` + sensor + `}`, 10_000_000, tooLong},
	}
}

// answer writes a huge answer.
func (z size) answer(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriter(w)
	now := strconv.FormatInt(time.Now().Unix(), 10)
	begin, end, _ := strings.Cut(z.body, "*")
	fmt.Fprintf(out, `{"status":"ok","body":%s`, begin)
	parts := strings.Split(strings.ReplaceAll(z.element, "@", now), "#")
	for i := range z.number {
		if i > 0 {
			out.WriteByte(',')
		}
		if _, err := out.WriteString(strings.Join(parts, strconv.Itoa(i))); err != nil {
			return
		}
	}
	fmt.Fprintf(out, `%s,"time_server":%s}`, end, now)
	_ = out.Flush() // the agent may have closed the connection
}

// sizeAttacks are accounts of a hundred thousand devices.
func sizeAttacks() (all []attack) {
	for i, z := range sizes() {
		for protocol, name := range names {
			if i > 2 && protocol == "grpc" == (i%2 == 0) {
				continue // what is not pushed needs one of them only
			}
			all = append(all, attack{"sizes over " + name, fmt.Sprintf("%d %s", z.number, z.name), func(s *scene) {
				s.mostMemory = mostCrowded
				s.over(protocol)
				s.set(e2e.Env{"NETATMO_DEVICES": "weather,homecoach,energy,control"})
				s.scopes = []string{"read_station", "read_homecoach", "read_thermostat", "read_magellan"}
				attack := func() {
					s.below(z.path, func(w http.ResponseWriter, _ *http.Request) { z.answer(w) })
				}
				if z.path == weather {
					s.healthy()
					attack()
				} else {
					attack()
					s.healthy()
				}
				s.eventually("says that the account is too large", func() bool { return strings.Contains(s.log.text(), z.said) })
				time.Sleep(20 * time.Second) // for pushes of what it made of it
				s.recovers()
			}})
		}
	}
	return all
}
