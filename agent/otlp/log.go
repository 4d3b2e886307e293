package otlp

import (
	"io"
	"log"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"google.golang.org/grpc/grpclog"

	"netatmo-agent/agent/redact"
)

// libraries is the log of libraries that log on their own: OpenTelemetry, gRPC,
// and net/http through the standard log package.
var libraries libraryLog

func init() { //nolint:gochecknoinits // gRPC's logger cannot be changed once it works
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, &libraries))
}

// routeLibraries sends what libraries log to the agent's log. Otherwise it
// would go to standard error in other formats, as often as a server provokes it
// and with the secrets that the server quotes.
func routeLibraries(to *slog.Logger) {
	libraries.to.Store(to)
	log.SetFlags(0)
	log.SetOutput(&libraries)
	otel.SetLogger(logr.New(otelSink{}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { libraries.warn(err.Error()) }))
}

// libraryLog writes each kind of message once an hour, without quoted text. It
// is safe for concurrent use.
type libraryLog struct {
	to atomic.Pointer[slog.Logger]

	mu   sync.Mutex
	said map[string]time.Time // by kind
}

// Write implements io.Writer, for loggers that make a Write of each message.
func (l *libraryLog) Write(message []byte) (int, error) {
	l.warn(string(message[:min(len(message), redact.MaxText)]))
	return len(message), nil
}

// maxKinds is how many kinds of messages are remembered.
const maxKinds = 100

var (
	quoted  = regexp.MustCompile(`"(?:[^"\\]|\\.)*(?:"|$)`)
	numbers = regexp.MustCompile(`[0-9a-fx.:]*[0-9][0-9a-fx.:]*`)
)

func (l *libraryLog) warn(message string) {
	message = redact.Line(quoted.ReplaceAllString(redact.Text(message), `"…"`))
	kind := numbers.ReplaceAllString(message, "0")
	l.mu.Lock()
	again := time.Since(l.said[kind]) < time.Hour
	if !again {
		if len(l.said) >= maxKinds || l.said == nil {
			l.said = map[string]time.Time{}
		}
		l.said[kind] = time.Now()
	}
	l.mu.Unlock()
	if to := l.to.Load(); to != nil && !again {
		to.Warn("a library reports", "message", message)
	}
}

// otelSink passes on OpenTelemetry's warnings (verbosity 1) and errors. Its
// other messages, up to whole payloads, do not help a user.
type otelSink struct{}

func (otelSink) Init(logr.RuntimeInfo)                {}
func (otelSink) Enabled(verbosity int) bool           { return verbosity <= 1 }
func (s otelSink) WithName(string) logr.LogSink       { return s }
func (s otelSink) WithValues(...any) logr.LogSink     { return s }
func (otelSink) Info(_ int, message string, _ ...any) { libraries.warn(message) }
func (otelSink) Error(err error, message string, _ ...any) {
	libraries.warn(strings.TrimSuffix(message, ":") + ": " + err.Error())
}
