// Package simcloud is a simulated Netatmo cloud: a real HTTP server that the
// tests, the demo and the end-to-end tests use instead of Netatmo's. It has its
// own wire types, so that a mistake in the client's types cannot be hidden by
// the same mistake here.
//
// A sensor's value is a pure function of the sensor and the second. So the live
// answer and the history of one sample agree to the decimal, two clouds of one
// scenario agree with each other, and a test can ask [Cloud.Held] and
// [Cloud.ValueAt] for the true value at any time.
//
// Devices measure every [Options].Measure and upload every [Options].Upload.
// With the real cadence an upload has two samples; live answers show the newer
// one, history both. The phase of a station drifts as observed: 605 or 606 s
// from upload to upload. Modules measure up to 65 s before their station does,
// and everything is visible 5 s after that. A faster cadence shrinks these
// delays in proportion, but not the clock: an hour of weather takes an hour.
//
// The table lists the known behaviour of the real API, and how to get it here.
// "always" needs no option; names are from this package, or from authtest, for
// use with [Cloud.Auth].
//
//	Login
//	credentials in the body, Basic refused    always
//	one-time codes bound to redirect_uri      always
//	array scope, both expiry keys             always
//	tokens uid|hex                            always
//	10 800 s of life, shortenable             Options.TokenLife
//	rotation, old refresh invalid_grant       always
//	no rotation, as until 2024                Options.NoRotation
//	rotation takes effect, reply dropped      authtest.LostAnswer, authtest.Truncated
//	slow token endpoint                       authtest.Slow
//	403 without JSON                          authtest.Refuse
//	500, 502, 503, 504 HTML                   authtest.HTML500, authtest.HTML502, authtest.HTML503, authtest.HTML504
//	temporary invalid_grant                   authtest.InvalidGrant
//	too_many_connections                      authtest.TooManyConnections
//	scope superset                            authtest.ScopeSuperset, Options.GrantScopes
//	consent page, or redirect at once         Options.AutoConsent
//
//	API
//	Bearer, access_token in query or form     always
//	GET and POST                              always
//	403/1 no token                            always
//	403/2 unknown token                       always, TokenUnknown
//	403/3 expired token                       Options.TokenLife, TokenExpired
//	403/5 app deactivated                     AppDeactivated
//	403/13 scope missing                      Options.GrantScopes, ScopeMissing
//	400/21 bad id                             always
//	400/10 missing argument                   always
//	404/9 device not found                    always
//	404 unknown method                        always
//	429/26 quota                              QuotaReached
//	403/26 quota, as until 2023               QuotaReached403
//	429/11 load shedding                      Busy
//	500                                       Internal
//	text of a database, code 0                BackendText
//	error as a string                         ErrorString
//	403 without a body                        Forbidden
//	HTML 503                                  Unavailable, Cloud.Down
//	HTML or nothing under a 200               HTML, Empty
//	truncated JSON                            Truncated, Cut
//	slow body, late answer, no answer         Slow, Late, Hang, HangUp
//	100 MB answer                             Huge
//	compact body                              always
//	pretty body with CRLF                     Pretty, QuotaReached
//	Retry-After                               Fault.RetryAfter
//	time_exec missing (homestatus)            always
//	recorded answers                          Cloud.Answer
//
//	Quota
//	50 in 10 s and 500 in an hour per user    Options.QuotaPer10s, Options.QuotaPerHour
//	four times as much per app                Options.QuotaPer10s, Options.QuotaPerHour
//	sliding windows                           always
//	forced lock-out                           Lockout
//
//	Stations
//	samples of 5 min, uploads of 605-606 s    Options.Measure, Options.Upload
//	offsets of modules                        always
//	offline, buffer uploaded on return        Cloud.SetOffline, Offline
//	unreachable, no dashboard_data            Cloud.SetUnreachable, Unreachable
//	reachable, no dashboard_data              NoData
//	removed module                            Cloud.RemoveModule
//	dead sentinel                             Dead
//	unnamed, same names, blanks in ids        Quirks
//	control characters in names               Quirks
//	module under two stations                 Quirks
//	unknown type of module                    Quirks
//	no station_name                           NoStationName
//	no home_id, no home_name                  NoHome
//	no modules key                            NoModulesKey
//	form of 2015                              Minimal
//	guest station                             Guest
//	shared home coach                         ReadOnly
//	favourite station                         Favorite
//	no time_utc                               NoTimeUTC
//	numbers as int, float, string, null       MixedNumbers
//	impossible numbers                        Nonsense
//	CO2 calibrating                           Calibrating
//	CO2 null now and then                     Gaps
//	WindAngle -1                              NoAngle
//	rain with float noise                     FloatNoise
//	sums restart at local midnight            always
//	time_utc goes back                        Backwards
//	frozen data under a 200                   Cloud.Freeze
//	empty account                             Scenario
//	thousands of stations                     Large
//
//	Energy
//	home without rooms                        Quirks
//	phantom room 0                            PhantomRoom
//	code 6 without data, and with             Cloud.SetOffline, Offline
//	body {}                                   EmptyBody
//	end_time null                             EndTimeNull
//	reachable missing                         NoReachable
//	open window                               OpenWindow
//	battery very_low                          BatteryLow
//	module that homestatus never has          NoStatus
//	ids with #, types that are ignored        Quirks
//	weather modules in lower case             always
//	devices that need separate scopes         always
//	plugs, shutters, cameras, alarms          Household
//	400/21 for a guest's home                 Guest
//
//	getmeasure and getroommeasure
//	oldest first, 1024 rows, begin inclusive  always
//	half-bucket stamps, unless real_time      always
//	[] when empty, in both forms              always
//	null                                      Gaps, Calibrating
//	single run without step_time              always
//	400/21 for types a scale does not have    always
//	types in any case                         always
//	module_id omitted: the station            always
//	energy by tariff, gas, water, late        Household
//	energy of one tariff                      OneTariff
//	scale max refused for rooms               CoarseRooms
//
// testdata/points.golden shows the effect of the quirks: every point that
// reaches a backend from the default account and from that of Quirks. Some rows
// cannot have an effect there. Login, API and Quota decide whether there is an
// answer, not what it says; the packages auth and agent/netatmo test them. How
// an answer is written, in which order, and how many stations it has changes no
// point. getmeasure and getroommeasure fill gaps, which the package agent/poll
// tests, like the cadence. A home without rooms, and the home of a guest, which
// the home API refuses, have no points. A therm_setpoint_end_time that is null
// has no effect of its own; the golden file shows that the values beside it
// survive.
//
// Not simulated: getpublicdata, the reason phrase of load shedding, and daily
// sums of rain that shrink a little. What getmeasure answers for stations of
// other users is not known; here it answers as for the user's own.
package simcloud
