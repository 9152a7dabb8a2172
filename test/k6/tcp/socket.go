package tcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/grafana/sobek"
	"github.com/mstoykov/k6-taskqueue-lib/taskqueue"
	"go.k6.io/k6/v2/js/modules"
	"go.k6.io/k6/v2/js/promises"
)

// chunkBytes is the most that one data event carries.
const chunkBytes = 4096

var events = map[string]bool{"connect": true, "data": true, "close": true, "error": true, "timeout": true}

type socket struct {
	vu       modules.VU
	metrics  *metricSet
	tags     map[string]string
	handlers map[string]sobek.Callable // the event loop's alone
	tasks    *taskqueue.TaskQueue      // from connect to close it keeps the iteration alive; nil: see connect

	lock          sync.Mutex // for what is below: reader, writer and event loop share it
	state         string
	conn          net.Conn
	local, remote *net.TCPAddr
	since         time.Time
	timeout       time.Duration
	written, read int64
}

// tcpError is what a Promise is rejected with, and what the error handler gets; no instance of Error.
type tcpError struct {
	Name    string `js:"name"`
	Method  string `js:"method"`
	Message string `js:"message"`
}

func (s *socket) on(event string, handler sobek.Callable) {
	logger := s.vu.State().Logger.WithField("event", event)
	if !events[event] {
		logger.Warn("Unknown event type")
		return
	}
	if s.handlers[event] != nil {
		logger.Warn("Event handler already registered, overriding")
	}
	s.handlers[event] = handler
}

// fire runs a handler on the event loop, after everything fired before it.
func (s *socket) fire(event string, argument any) {
	if s.tasks == nil {
		return
	}
	s.tasks.Queue(func() error {
		handler := s.handlers[event]
		if handler == nil {
			return nil
		}
		var err error
		if argument == nil {
			_, err = handler(sobek.Undefined())
		} else {
			_, err = handler(sobek.Undefined(), s.vu.Runtime().ToValue(argument))
		}
		if chunk, ok := argument.([]byte); ok {
			clear(chunk) // whoever kept it without a copy must notice
		}
		return err
	})
}

func (s *socket) fail(method string, err error) *tcpError {
	s.count(s.metrics.errors, nil)
	failure := &tcpError{Name: "TCPError", Method: method, Message: err.Error()}
	s.fire("error", failure)
	return failure
}

// connect is connect(port, host) or connect({ port, host, tags }).
func (s *socket) connect(where sobek.Value, host sobek.Value) *sobek.Promise {
	promise, resolve, reject := promises.New(s.vu)
	// The module takes its hold of the iteration on a goroutine of its own, and only the delivery of a connect event
	// waits for that. A script without a handler for it loses the race one time in fifty; here it does every time.
	if s.handlers["connect"] != nil {
		s.tasks = taskqueue.New(s.vu.RegisterCallback)
	}
	address, err := s.address(where, host)
	go func() {
		if err == nil {
			err = s.dial(address)
		}
		if err != nil {
			failure := s.fail("connect", err)
			s.release()
			reject(failure)
			return
		}
		s.fire("connect", nil)
		s.count(s.metrics.sockets, nil)
		go s.readUntilEnd()
		resolve(sobek.Undefined())
	}()
	return promise
}

func (s *socket) address(where sobek.Value, host sobek.Value) (string, error) {
	options := struct {
		Port any
		Host string
		TLS  bool `js:"tls"`
		Tags map[string]string
	}{Host: "localhost"}
	if object, ok := where.(*sobek.Object); ok {
		if err := s.vu.Runtime().ExportTo(object, &options); err != nil {
			return "", err
		}
		for name, value := range options.Tags {
			if s.tags == nil {
				s.tags = map[string]string{}
			}
			s.tags[name] = value
		}
	} else {
		options.Port = where.Export()
		if host != nil && !sobek.IsUndefined(host) && !sobek.IsNull(host) {
			options.Host = host.String()
		}
	}
	if options.TLS {
		return "", errors.New("the stand-in has no TLS")
	}
	port, err := strconv.ParseUint(fmt.Sprint(options.Port), 10, 16)
	if err != nil {
		return "", fmt.Errorf("invalid port %v", options.Port)
	}
	return net.JoinHostPort(options.Host, strconv.FormatUint(port, 10)), nil
}

func (s *socket) dial(address string) error {
	s.set(func() { s.state = "opening" })
	start := time.Now()
	ip, port, err := s.vu.State().GetAddrResolver().ResolveAddr(address)
	s.took(s.metrics.resolving, start)
	if err != nil {
		s.set(func() { s.state = "disconnected" })
		return err
	}
	start = time.Now()
	conn, err := s.vu.State().Dialer.DialContext(s.vu.Context(), "tcp", net.JoinHostPort(ip.String(), strconv.Itoa(port)))
	s.took(s.metrics.connecting, start)
	if err != nil {
		s.set(func() { s.state = "disconnected" })
		return err
	}
	s.set(func() {
		s.conn, s.state, s.since = conn, "open", time.Now()
		s.local, _ = conn.LocalAddr().(*net.TCPAddr)
		s.remote, _ = conn.RemoteAddr().(*net.TCPAddr)
	})
	context.AfterFunc(s.vu.Context(), s.destroy) // a run that ends leaves no reader behind
	return nil
}

func (s *socket) set(change func()) {
	s.lock.Lock()
	defer s.lock.Unlock()
	change()
}

func (s *socket) readUntilEnd() {
	defer s.destroy()
	for {
		var conn net.Conn
		s.set(func() {
			conn = s.conn
			if conn != nil && s.timeout > 0 {
				_ = conn.SetReadDeadline(time.Now().Add(s.timeout))
			}
		})
		if conn == nil {
			return
		}
		chunk := make([]byte, chunkBytes)
		n, err := conn.Read(chunk)
		if n > 0 {
			s.count(s.metrics.reads, nil)
			s.set(func() { s.read += int64(n) })
			s.fire("data", chunk[:n])
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.fire("timeout", nil) // tcp_timeouts stays at 0 in the module, too
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
			return
		default:
			s.fail("read", err)
			return
		}
	}
}

// setTimeout sets after how many milliseconds without a byte read the timeout event comes, again and again; 0 is off.
func (s *socket) setTimeout(ms int64) {
	s.set(func() {
		s.timeout = time.Duration(max(0, ms)) * time.Millisecond
		if s.conn == nil {
			return
		}
		deadline := time.Time{}
		if s.timeout > 0 {
			deadline = time.Now().Add(s.timeout)
		}
		_ = s.conn.SetReadDeadline(deadline)
	})
}

// destroy is the only close; a close event comes once, however often it is called.
func (s *socket) destroy() {
	var conn net.Conn
	s.set(func() { conn, s.conn, s.state = s.conn, nil, "destroyed" })
	if conn == nil {
		return
	}
	_ = conn.Close()
	s.took(s.metrics.duration, s.since)
	s.fire("close", nil)
	s.release()
}

// release lets the iteration end.
func (s *socket) release() {
	if s.tasks != nil {
		s.tasks.Close()
	}
}
