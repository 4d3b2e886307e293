package auth

import "time"

const (
	// shortLife is given to an access token whose expiry the file does not say:
	// enough to work with while it is renewed.
	shortLife = time.Minute

	// maxMargin is the longest time before its expiry at which a token is renewed.
	maxMargin = 10 * time.Minute
)

// pair is the two tokens in memory. Two clocks judge the lifetime of the access
// token: after a clock was set back, the wall clock alone would trust a token
// for years, and the monotonic clock alone would miss a night of suspend.
//
// The document is kept as it arrived, whatever its expiry: it is what a save
// writes.
type pair struct {
	document
	since    time.Time     // when this process got the pair
	life     time.Duration // of the access token from then on, by the monotonic clock
	until    time.Time     // its end by the wall clock
	unsure   bool          // life and until are a guess, as the document does not say
	rejected bool          // the API does not accept the access token
}

// newPair judges a document that has just arrived, from the file or from
// Netatmo.
//
// A lifetime longer than Netatmo stated means that the clock was wrong when the
// file was written, or is wrong now. It is cut if the token can be renewed.
func newPair(d document, now time.Time) pair {
	p := pair{document: d, since: now}
	if d.Access == "" {
		return p
	}
	p.until, p.life = d.Expiry, d.Expiry.Sub(now.Round(0))
	most := d.Life
	if most == 0 {
		most = netatmoLife
	}
	switch {
	case d.Expiry.IsZero() && d.Refresh == "":
		p.unsure, p.life = true, netatmoLife // the API will reject it when it ends
	case d.Expiry.IsZero():
		p.unsure, p.life = true, shortLife
	case p.life > most && d.Refresh != "":
		p.life = most
	default:
		return p
	}
	p.until = now.UTC().Add(p.life).Truncate(time.Second)
	return p
}

// left returns how long the access token remains valid, by the clock that gives
// less.
func (p pair) left(now time.Time) time.Duration {
	return min(p.until.Sub(now.Round(0)), p.life-now.Sub(p.since))
}

// alive reports whether the access token is valid.
func (p pair) alive(now time.Time) bool {
	return p.Access != "" && !p.rejected && p.left(now) > 0
}

// fresh reports whether the access token is valid and its renewal is not due.
func (p pair) fresh(now time.Time) bool {
	return p.alive(now) && (p.Refresh == "" || !p.unsure && p.left(now) > p.margin())
}

// margin is how long before its expiry an access token is renewed: a tenth of
// its lifetime, at most maxMargin. If the stated lifetime is unknown, the best
// guess is what was left of it when the token was loaded.
func (p pair) margin() time.Duration {
	life := p.Life
	if life == 0 {
		life = p.life
	}
	return min(maxMargin, life/10)
}
