package simcloud

import "fmt"

// Scenario is what an account owns. It is plain data; its order is the order
// of the answers. &Scenario{} is an account without devices.
type Scenario struct {
	Homes []Home
}

// Home is a household. Its gateways have the devices that only the home API
// lists, such as thermostats, plugs and door tags.
type Home struct {
	ID, Name string // 24 hex digits; a home may be nameless
	Place    Place
	Stations []Station
	Coaches  []Device
	Gateways []Station // relays, gateways and cameras, with the devices behind them
	Rooms    []Device  // ID and Name; the heating devices name their Room
	Quirks   Quirk
}

// Place is the location of a home.
type Place struct {
	City, Country, Zone string     // Zone as in the IANA data; UTC if the machine does not know it
	Altitude            int        // m; 0 is missing from answers, as for users who never set it
	Location            [2]float64 // longitude, latitude
}

// Station is a device that uploads, and the modules that it uploads for.
type Station struct {
	Device
	Modules []Device
}

// Device is a station, module, home coach, heating device or room.
type Device struct {
	ID     string // MAC address; blanks in it are sent as they are
	Name   string // empty: never named, module_name is missing
	Type   string // as on the wire, such as "NAMain"; need not be set for rooms
	Room   string // ID of the room, for heating devices
	Quirks Quirk
}

// Quirk is a set of oddities of a device or home that real accounts have.
type Quirk uint32

// The quirks of stations, modules and home coaches.
const (
	NoStationName Quirk = 1 << iota // new stations have no station_name
	NoHome                          // home_id and home_name are missing
	NoModulesKey                    // "modules" is missing instead of []
	NoTimeUTC                       // dashboard_data of a new module without time_utc
	NoData                          // reachable, yet without dashboard_data
	Unreachable                     // reachable is false from the start
	Offline                         // the station or gateway is offline from the start
	Dead                            // never paired: firmware 255, battery 100 % and 65535 mV, last_seen 0
	Minimal                         // the form of 2015: _id, type, data_type and module_name only
	MixedNumbers                    // numbers as strings, as 612.0 and 1.0132e3, and null
	Calibrating                     // co2_calibrating, and no CO2
	NoAngle                         // WindAngle is −1 in half of the samples
	FloatNoise                      // rain as 0.30300000000000005
	Gaps                            // CO2 is null in a tenth of the samples
	Backwards                       // every second answer is two uploads older: time_utc goes back
	ReadOnly                        // a home coach that another user shares
	Nonsense                        // numbers that no sensor measures: 1e308, 1e400, "NaN"
)

// The quirks of homes, rooms and heating devices.
const (
	Guest       Quirk = 1 << (17 + iota) // another user's home, shared: read_only, unknown to the home API
	Favorite                             // another user's station: pressure only, with get_favorites only
	EmptyBody                            // homestatus answers "body": {}
	PhantomRoom                          // homestatus has a room 0 that homesdata lacks
	EndTimeNull                          // therm_setpoint_end_time is null
	NoReachable                          // reachable is missing
	BatteryLow                           // battery_state very_low
	OpenWindow                           // open_window is true
	NoStatus                             // a device in homesdata that homestatus never lists
	OneTariff                            // electricity has one price
	CoarseRooms                          // getroommeasure refuses the scale max, as its documentation says
)

// Default is one household: a weather station with a module of every type, a
// home coach, and heating with two rooms.
func Default() *Scenario {
	return &Scenario{Homes: []Home{{
		ID: "5f1e2d3c4b5a69788796a5b4", Name: "Home",
		Place: Place{City: "Freiburg", Country: "DE", Zone: "Europe/Berlin", Altitude: 278, Location: [2]float64{7.85, 47.99}},
		Stations: []Station{{
			Device: Device{ID: "70:ee:50:00:10:01", Name: "Living room", Type: TypeStation},
			Modules: []Device{
				{ID: "02:00:00:00:10:02", Name: "Garden", Type: TypeOutdoor},
				{ID: "03:00:00:00:10:03", Name: "Bedroom", Type: TypeIndoor},
				{ID: "06:00:00:00:10:04", Name: "Roof", Type: TypeWind},
				{ID: "05:00:00:00:10:05", Name: "Lawn", Type: TypeRain},
			},
		}},
		Coaches: []Device{{ID: "70:ee:50:00:20:01", Name: "Nursery", Type: TypeHomeCoach}},
		Gateways: []Station{{
			Device: Device{ID: "70:ee:50:00:30:01", Name: "Relay", Type: TypeRelay},
			Modules: []Device{
				{ID: "04:00:00:00:30:02", Name: "Thermostat", Type: TypeThermostat, Room: "2746182001"},
				{ID: "09:00:00:00:30:03", Name: "Valve", Type: TypeValve, Room: "2746182002"},
			},
		}},
		Rooms: []Device{{ID: "2746182001", Name: "Hall"}, {ID: "2746182002", Name: "Study"}},
	}}}
}

// Large is an account of many stations, each with six modules and a home of its
// own: 7 devices per station.
func Large(stations int) *Scenario {
	s := &Scenario{Homes: make([]Home, stations)}
	for i := range s.Homes {
		id := func(prefix string, n int) string {
			return fmt.Sprintf("%s:%02x:%02x:%02x", prefix, i>>8&0xff, i&0xff, i>>16<<4+n)
		}
		s.Homes[i] = Home{
			ID: fmt.Sprintf("5f0000000000000000%06x", i), Name: fmt.Sprintf("Home %d", i+1),
			Place: Place{City: "Ghent", Country: "BE", Zone: "Europe/Brussels", Altitude: 9, Location: [2]float64{3.72, 51.05}},
			Stations: []Station{{
				Device: Device{ID: id("70:ee:50", 0), Name: "Indoor", Type: TypeStation},
				Modules: []Device{
					{ID: id("02:00:00", 1), Name: "Outdoor", Type: TypeOutdoor},
					{ID: id("03:00:00", 2), Name: "Bedroom", Type: TypeIndoor},
					{ID: id("03:00:00", 3), Name: "Office", Type: TypeIndoor},
					{ID: id("03:00:00", 4), Name: "Cellar", Type: TypeIndoor},
					{ID: id("06:00:00", 5), Name: "Wind", Type: TypeWind},
					{ID: id("05:00:00", 6), Name: "Rain", Type: TypeRain},
				},
			}},
		}
	}
	return s
}
