package poll_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

// The log lists the modules once, and then only changes. An answer names its
// modules; a minus marks an unreachable one, a question mark one whose state
// Netatmo does not send.
func TestModulesInTheLog(t *testing.T) {
	for name, test := range map[string]struct {
		answers []string
		want    []string
	}{
		"nothing changes":             {[]string{"a b?", "b? a"}, []string{"INFO modules found: a, b"}},
		"one is lost and returns":     {[]string{"a b", "a b-", "a b-", "a b"}, []string{"INFO modules found: a, b", "WARN modules are out of reach: b", "INFO modules are within reach again: b"}},
		"one is lost from the start":  {[]string{"a b-"}, []string{"INFO modules found: a, b", "WARN modules are out of reach: b"}},
		"all are lost":                {[]string{"a b c", "a- b- c-"}, []string{"INFO modules found: a, b, c", "WARN modules are out of reach: a, b, c"}},
		"one takes another's place":   {[]string{"a b", "a c"}, []string{"INFO modules found: a, b", "INFO modules are new in Netatmo's answer: c", "INFO modules are no longer in Netatmo's answer: b"}},
		"the list would be very long": {[]string{"a b c d e f g h i j k l m n"}, []string{"INFO modules found: a, b, c, d, e, f, g, h, i, j, k, l and 2 more"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
					var readings []netatmo.Reading
					for word := range strings.FieldsSeq(test.answers[min(n, len(test.answers)-1)]) {
						readings = append(readings, presence(word))
					}
					n++
					return answer(readings...), nil
				}}, netatmo.Weather)
				a.start()
				a.sleep(55 * time.Minute)
				a.kill()
				var got []string
				for _, m := range moduleLine.FindAllStringSubmatch(a.log.String(), -1) {
					got = append(got, m[1]+" "+m[2]+": "+strings.Trim(m[3], `"`))
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("the log says\n%q\nwant\n%q\n%s", got, test.want, a.log)
				}
			})
		})
	}
}

var moduleLine = regexp.MustCompile(`level=(\w+) msg="(modules [^";]+)[^"]*" family=weather modules=(.*)`)

func presence(word string) netatmo.Reading {
	module := strings.Trim(word, "-?")
	r := outdoor("s", module, time.Now(), 20)
	r.ModuleName = module
	switch {
	case strings.HasSuffix(word, "-"):
		r.Values = netatmo.Values{{Field: netatmo.Reachable, Number: 0}}
	case strings.HasSuffix(word, "?"):
		r.Values = r.Values[:2]
	}
	return r
}
