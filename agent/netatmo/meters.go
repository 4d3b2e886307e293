package netatmo

import (
	"math"
	"strings"
	"time"
)

// Meter is what Netatmo counts about a device of a home. The counts are only in
// its history, in buckets of time.
type Meter uint8

// The meters. A device has one at most.
const (
	NoMeter     Meter = iota
	Electricity       // Wh by tariff
	Line              // Wh by tariff, of an Ecometer, which has names of its own
	Gas               // liters
	Water             // liters
	Boiler            // seconds in which the boiler was on
)

// Bucket is the time that an amount of a meter is about, the shortest that
// Netatmo offers (documented).
const Bucket = 30 * time.Minute

// meterTypes are what getmeasure calls the columns of a meter (observed). The names
// for an Ecometer are the same for gas and water.
var meterTypes = [...]string{
	Electricity: energyTypes,
	Line:        ecometerTypes,
	Gas:         ecometerTypes,
	Water:       ecometerTypes,
	Boiler:      "boileron,boileroff",
}

const (
	energyTypes   = "sum_energy_buy_from_grid,sum_energy_buy_from_grid$0,sum_energy_buy_from_grid$1,sum_energy_buy_from_grid$2"
	ecometerTypes = "sum_energy_elec,sum_energy_elec$0,sum_energy_elec$1,sum_energy_elec$2"
)

// metered are the types of devices with a meter, by Netatmo's names.
var metered = func() map[string]Meter {
	all := map[string]Meter{"NATherm1": Boiler}
	for wire := range strings.FieldsSeq("NLP NLPM NLPBS NLUP NLC NLPT NLPD NLM NLL NLIS NLUI NLF NLFN NLFE NLUO NLUF NLPC NLY NLPS NLPO") {
		all[wire] = Electricity
	}
	return all
}()

// inputs are the parts of an Ecometer: five lines, their total, gas, and two for
// water.
var inputs = map[string]Meter{
	"0": Line, "1": Line, "2": Line, "3": Line, "4": Line, "5": Line, "6": Gas, "7": Water, "8": Water,
}

// meter returns the meter of a device, and the device under which getmeasure
// knows it.
func (d *homeDecoder) meter(id, wireType string) (m Meter, bridge string) {
	whole, part, isPart := strings.Cut(id, "#")
	switch {
	case wireType == "NLE" && isPart:
		return inputs[part], whole
	case wireType == "NLIS" && !isPart: // only its two switches measure
		return NoMeter, ""
	}
	if m = metered[wireType]; m != NoMeter {
		if bridge = d.bridge(id); bridge == "" && isPart {
			bridge = d.bridge(whole)
		}
	}
	return m, bridge
}

// fold turns a row of the meter's columns, NaN where there is none, into values.
func (m Meter) fold(row []float64) Values {
	switch m {
	case Electricity, Line:
		return energy(row)
	case Gas:
		return total(GasAmount, row)
	case Water:
		return total(WaterAmount, row)
	case Boiler:
		// The sum depends on the bucket in a way that Netatmo's documentation does not
		// describe, so only the share counts (observed).
		if share := row[0] / (row[0] + row[1]); !math.IsNaN(share) {
			return Values{{BoilerOnTime, math.Round(share * Bucket.Seconds())}}
		}
	}
	return nil
}

// energy returns the amounts by tariff, and that without a tariff only if there
// are no others, so that the sum over the tariffs is always right.
func energy(row []float64) (values Values) {
	for i, f := range []Field{EnergyTotal, EnergyBasic, EnergyPeak, EnergyOffPeak} {
		if !math.IsNaN(row[i]) {
			values = append(values, Value{f, row[i]})
		}
	}
	if len(values) > 1 && values[0].Field == EnergyTotal {
		values = values[1:]
	}
	return values
}

// total returns the sum over the tariffs.
func total(f Field, row []float64) Values {
	parts := energy(row)
	if len(parts) == 0 {
		return nil
	}
	sum := 0.0
	for _, v := range parts {
		sum += v.Number
	}
	return Values{{f, sum}}
}

// addBucket adds a row of a meter, whose time is somewhere in its bucket, under
// the bucket's end.
func (r *rows) addBucket(at int64, row []byte) {
	var amounts []float64
	odd := false
	for raw := range elements(row) {
		n, is := plain(raw)
		if is != said || n < 0 {
			n = math.NaN()
			odd = odd || string(raw) != "null"
		}
		amounts = append(amounts, n)
	}
	s := Sample{Time: time.Unix(at, 0).UTC().Truncate(Bucket).Add(Bucket)}
	if len(amounts) == strings.Count(meterTypes[r.meter], ",")+1 {
		s.Values = r.meter.fold(amounts)
	} else {
		odd = true
	}
	if odd {
		r.odd++
	}
	r.append(s)
}
