package netatmo

// noZero has the fields in which 0 cannot be a measurement, with the reason. A
// sensor that is starting, broken or missing has sent it, so it is not a value.
// In all other fields 0 can be true: temperatures, trends, humidity (dry air),
// rain, wind and its direction (north), the health index (healthy), an empty
// battery, and everything that is on or off. Readers know the sentinels that
// depend on the key: firmware 255, battery_vp 65535, rf_status 255, angles
// below 0, times of 0.
var noZero = map[Field]string{
	CO2:              "outdoor air has about 400 ppm",
	Noise:            "the microphone's range starts at 35 dB",
	Pressure:         "there is no vacuum on earth",
	AbsolutePressure: "there is no vacuum on earth",
	BatteryVoltage:   "a module with an empty battery sends nothing",
	WifiRSSI:         "every radio link loses power",
	RadioRSSI:        "every radio link loses power",
}

// measurable reports whether n can be a measurement of f.
func (f Field) measurable(n float64) bool { return n != 0 || noZero[f] == "" }
