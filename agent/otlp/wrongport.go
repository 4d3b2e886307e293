package otlp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// wrongPort returns the failure if the server at addr, which returned err for
// plain text, speaks another protocol, or nil. The error itself may not show
// it: such servers close the connection, and it is random whether their text
// arrives before that.
func wrongPort(ctx context.Context, addr net.Addr, detail string, err error) *Failure {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var reason Reason
	var remedy string
	switch {
	case acceptsTLS(ctx, addr):
		reason, remedy = TLS, speaksTLS
	case speaksFirst(ctx, addr):
		reason, remedy = NotOTLP, speaksGRPC
	default:
		return nil
	}
	f := NewFailure(reason, detail, err)
	f.Remedy = remedy
	return f
}

// acceptsTLS reports whether a TLS server listens at addr. It sends no data.
func acceptsTLS(ctx context.Context, addr net.Addr) bool {
	conn, err := new(net.Dialer).DialContext(ctx, addr.Network(), addr.String())
	if err != nil {
		return false
	}
	defer conn.Close()
	err = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) //nolint:gosec // only the protocol matters
	_, alert := errors.AsType[tls.AlertError](err)
	return err == nil || alert
}

// speaksFirst reports whether a gRPC server listens at addr: it sends its
// settings first.
func speaksFirst(ctx context.Context, addr net.Addr) bool {
	conn, err := new(net.Dialer).DialContext(ctx, addr.Network(), addr.String())
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	frame := make([]byte, 9) // the header of an HTTP/2 frame
	_, err = io.ReadFull(conn, frame)
	return err == nil && frame[0] == 0 && frame[3] == 4 && frame[4] == 0
}

// broken reports whether a connection broke after it was made.
func broken(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return errors.Is(err, io.EOF) || ok && op.Op != "dial" && op.Op != "proxyconnect" && !op.Timeout()
}
