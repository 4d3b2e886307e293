package simcloud

import "fmt"

// Quirks is an account with every oddity that was seen in real answers, each on
// a separate device, so that a test failure shows which one caused it.
func Quirks() *Scenario {
	return &Scenario{Homes: []Home{
		oddHome(), strangeHome(),
		{
			ID: "5f0000000000000000000003", Name: "Parents", Quirks: Guest, Place: inland(53),
			Stations: []Station{pair("30", "Kitchen", "Terrace")},
		},
		{
			ID: "5f0000000000000000000004", Name: "Lighthouse", Quirks: Favorite, Place: inland(0),
			Stations: []Station{pair("40", "Tower", "Rock")},
		},
		oddHeating(),
		{ID: "5f0000000000000000000006", Name: "Holiday flat", Place: inland(12)},
		{
			ID: "5f0000000000000000000007", Name: "Garage", Quirks: EmptyBody, Place: inland(80),
			Gateways: []Station{heating("70", "Workshop", 0)},
			Rooms:    []Device{{ID: "7000000001", Name: "Workshop"}},
		},
		{
			ID: "5f0000000000000000000008", Name: "Cellar", Place: inland(80),
			Gateways: []Station{heating("80", "Cellar", Offline)},
			Rooms:    []Device{{ID: "8000000001", Name: "Cellar"}},
		},
		{
			ID: "5f0000000000000000000009", Name: "Two relays", Place: inland(80),
			Gateways: []Station{heating("90", "West", 0), heating("91", "East", Offline)},
			Rooms:    []Device{{ID: "9000000001", Name: "West"}, {ID: "9100000001", Name: "East"}},
		},
	}}
}

func inland(altitude int) Place {
	return Place{City: "Lyon", Country: "FR", Zone: "Europe/Paris", Altitude: altitude, Location: [2]float64{4.83, 45.76}}
}

// pair returns a station with an outdoor module.
func pair(n, indoors, outdoors string) Station {
	return Station{
		Device:  Device{ID: fmt.Sprintf("70:ee:50:00:%s:01", n), Name: indoors, Type: TypeStation},
		Modules: []Device{{ID: fmt.Sprintf("02:00:00:00:%s:02", n), Name: outdoors, Type: TypeOutdoor}},
	}
}

// heating returns a relay with a thermostat in a room.
func heating(n, name string, q Quirk) Station {
	return Station{
		Device:  Device{ID: fmt.Sprintf("70:ee:50:00:%s:09", n), Name: name, Type: TypeRelay, Quirks: q},
		Modules: []Device{{ID: fmt.Sprintf("04:00:00:00:%s:01", n), Name: name, Type: TypeThermostat, Room: n + "00000001"}},
	}
}

// oddHome returns a home with a station whose modules are all odd.
func oddHome() Home {
	module := func(n int, name, typ string, q Quirk) Device {
		prefix := map[string]string{TypeOutdoor: "02", TypeIndoor: "03", TypeRain: "05", TypeWind: "06"}[typ]
		if prefix == "" {
			prefix = "0b"
		}
		return Device{ID: fmt.Sprintf("%s:00:00:00:11:%02x", prefix, n), Name: name, Type: typ, Quirks: q}
	}
	return Home{
		ID: "5f0000000000000000000001", Name: "Odd house", Place: inland(664),
		Stations: []Station{{
			Device: Device{ID: "70:ee:50:00:11:00", Name: "Living room", Type: TypeStation, Quirks: MixedNumbers | Gaps},
			Modules: []Device{
				module(1, "Garden", TypeOutdoor, 0),
				module(2, "Garden", TypeOutdoor, 0), // the same name
				module(3, "", TypeOutdoor, 0),       // unnamed, twice
				module(4, "", TypeIndoor, 0),
				module(5, "New", TypeIndoor, NoTimeUTC),
				module(6, "Silent", TypeIndoor, NoData),
				module(7, "Far", TypeIndoor, Unreachable),
				module(8, "Dead", TypeOutdoor, Dead),
				module(9, "Old", TypeOutdoor, Minimal),
				module(10, "Mixed", TypeOutdoor, MixedNumbers),
				module(11, "Fresh", TypeIndoor, Calibrating),
				module(12, "Patchy", TypeIndoor, Gaps),
				module(13, "Lull", TypeWind, NoAngle),
				module(14, "Drizzle", TypeRain, FloatNoise),
				module(15, "Future", "NAModule9", 0), // an unknown type
				module(16, "Flat", TypeIndoor, BatteryLow),
				module(17, "Shared", TypeIndoor, 0),
				module(18, "Broken", TypeIndoor, Nonsense),
				module(19, "Two\nlines,\x1b[31m red\u0085", TypeOutdoor, 0),
			},
		}},
		Coaches: []Device{
			{ID: "70:ee:50:00:12:01", Name: "Nursery", Type: TypeHomeCoach},
			{ID: "70:ee:50:00:12:02", Type: TypeHomeCoach},
			{ID: "70:ee:50:00:12:03", Name: "Spare", Type: TypeHomeCoach, Quirks: NoData},
			{ID: "70:ee:50:00:12:04", Name: "Friend", Type: TypeHomeCoach, Quirks: ReadOnly},
			{ID: "70:ee:50:00:12:05", Name: "Upstairs", Type: TypeHomeCoach, Quirks: Calibrating},
		},
	}
}

// strangeHome returns a home with odd stations.
func strangeHome() Home {
	return Home{
		ID: "5f0000000000000000000002", Name: "Allotment", Place: inland(0),
		Stations: []Station{
			{Device: Device{ID: "70:ee:50 :00: 21:00", Type: TypeStation, Quirks: NoStationName | NoModulesKey}},
			{
				Device: Device{ID: "70:ee:50:00:22:00", Name: "Shed", Type: TypeStation, Quirks: Backwards | Calibrating},
				Modules: []Device{
					{ID: "03:00:00:00:11:11", Name: "Shared", Type: TypeIndoor}, // belongs to two stations
					{ID: "02:00:00 :00:22:01", Name: "Spaced", Type: TypeOutdoor},
				},
			},
			{
				Device:  Device{ID: "70:ee:50:00:23:00", Name: "Lost", Type: TypeStation, Quirks: Offline | NoHome},
				Modules: []Device{{ID: "02:00:00:00:23:01", Name: "Lost outside", Type: TypeOutdoor}},
			},
			{Device: Device{ID: "70:ee:50:00:24:00", Name: "Oldest", Type: TypeStation, Quirks: Minimal}},
		},
	}
}

// oddHeating returns a home with heating devices of every type, and odd rooms.
func oddHeating() Home {
	device := func(n int, name, typ, room string, q Quirk) Device {
		return Device{ID: fmt.Sprintf("09:00:00:00:50:%02x", n), Name: name, Type: typ, Room: room, Quirks: q}
	}
	return Home{
		ID: "5f0000000000000000000005", Place: inland(170), Quirks: PhantomRoom | CoarseRooms | OneTariff, // a nameless home
		Stations: []Station{pair("55", "Office", "Yard")},
		Gateways: []Station{
			{
				Device: Device{ID: "70:ee:50:00:50:00", Name: "Relay", Type: TypeRelay},
				Modules: []Device{
					device(1, "Thermostat", TypeThermostat, "5000000001", 0),
					device(2, "Valve", TypeValve, "5000000002", 0),
					device(3, "Shy valve", TypeValve, "5000000003", NoReachable),
					device(4, "Weak valve", TypeValve, "5000000004", BatteryLow),
					device(5, "Far valve", TypeValve, "5000000005", Unreachable),
					device(6, "Shutter", "NXO", "", 0),
					device(7, "Never seen", TypeValve, "", NoStatus),
					{ID: "70:ee:50:00:50:00#8", Name: "Part", Type: "NLE", Quirks: NoStatus},
				},
			},
			{
				Device:  Device{ID: "70:ee:50:00:51:00", Name: "OpenTherm", Type: "OTH"},
				Modules: []Device{device(17, "Modulating", "OTM", "5000000006", 0)},
			},
			{Device: Device{ID: "70:ee:50:00:52:00", Name: "Smarther", Type: "BNS", Room: "5000000007"}},
		},
		Rooms: []Device{
			{ID: "5000000001", Name: "Hall", Quirks: EndTimeNull},
			{ID: "5000000002", Name: "Bath", Quirks: OpenWindow},
			{ID: "5000000003", Name: "Bedroom", Quirks: NoReachable},
			{ID: "5000000004", Name: "Study"},
			{ID: "5000000005", Name: "Attic"},
			{ID: "5000000006", Name: "Library"},
			{ID: "5000000007", Name: "Lounge"},
		},
	}
}
