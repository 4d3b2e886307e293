package netatmo_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"netatmo-agent/agent/netatmo"
)

// account is an answer with this number of devices: stations with six modules
// each.
func account(devices int) string {
	var b strings.Builder
	b.WriteString(`{"status":"ok","time_server":1760000060,"body":{"devices":[`)
	for i := range devices {
		if i%7 == 0 {
			if i > 0 {
				b.WriteString(`]},`)
			}
			fmt.Fprintf(&b, `{"_id":"70:ee:50:%06x","type":"NAMain","station_name":"Mill (Office)","module_name":"Office","home_id":"5f0000000000000000%06x","home_name":"Mill",
"date_setup":1613126400,"last_setup":1613126400,"last_upgrade":1688201112,"firmware":202,"wifi_status":47,"reachable":true,"co2_calibrating":false,
"last_status_store":1760000052,"place":{"city":"Ghent","country":"BE","timezone":"Europe/Brussels","altitude":9,"location":[3.72,51.05]},
"data_type":["Temperature","CO2","Humidity","Noise","Pressure"],
"dashboard_data":{"time_utc":1760000041,"temp_trend":"up","pressure_trend":"down","Temperature":22.7,"Humidity":51,"CO2":734,"Noise":41,
"Pressure":1021.8,"AbsolutePressure":1020.7,"date_min_temp":1759971325,"min_temp":18.9,"date_max_temp":1759994111,"max_temp":23.2},"modules":[`, i, i)
			continue
		}
		if i%7 > 1 {
			b.WriteString(`,`)
		}
		fmt.Fprintf(&b, `{"_id":"03:00:00:%06x","type":"NAModule4","module_name":"Kitchen","data_type":["Temperature","CO2","Humidity"],
"last_setup":1500000000,"reachable":true,"firmware":50,"last_message":1760000053,"last_seen":1760000047,"rf_status":61,"battery_vp":5738,
"battery_percent":87,"dashboard_data":{"time_utc":1760000040,"Temperature":19.6,"CO2":696,"Humidity":41,"min_temp":19.6,"max_temp":20.5,
"date_max_temp":1759990000,"date_min_temp":1759990000,"temp_trend":"stable"}}`, i)
	}
	b.WriteString(`]}]}}`)
	return b.String()
}

// BenchmarkDecode measures the cost of one device, from the bytes of an answer
// to a reading, in answers of different sizes.
func BenchmarkDecode(b *testing.B) {
	for _, devices := range []int{10, 100, 1000, 10000} {
		b.Run(fmt.Sprintf("devices=%d", devices), func(b *testing.B) {
			body := account(devices)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				a, err := saying(200, body).Weather(b.Context(), false)
				if err != nil || len(a.Readings) != devices {
					b.Fatal(len(a.Readings), err)
				}
			}
			runtime.ReadMemStats(&after)
			each := float64(b.N) * float64(devices)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/each, "ns/device")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/each, "allocs/device")
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/each, "B/device")
		})
	}
}

// BenchmarkMeasure measures one page of history.
func BenchmarkMeasure(b *testing.B) {
	var body strings.Builder
	body.WriteString(`{"body":{"1600000000":[20,500,40]`)
	for i := 1; i < 1024; i++ {
		fmt.Fprintf(&body, `,"%d":[20.5,501,41]`, 1600000000+300*i)
	}
	body.WriteString(`},"time_server":1760000060}`)
	q := netatmo.MeasureQuery{DeviceID: "d", Columns: columns("Temperature", "CO2", "Humidity")}
	for b.Loop() {
		if page, err := saying(200, body.String()).Measure(b.Context(), q, netatmo.Live); err != nil || len(page.Samples) != 1024 {
			b.Fatal(len(page.Samples), err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/row")
}
