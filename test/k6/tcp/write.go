package tcp

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/grafana/sobek"
	"go.k6.io/k6/v2/js/promises"
)

var errNotOpen = errors.New("no active connection")

type writeOptions struct {
	Encoding string
	Tags     map[string]string
}

// write sends a string, an ArrayBuffer or a Uint8Array. A buffer is not copied: what is in it when the kernel takes
// it is what goes out.
func (s *socket) write(data sobek.Value, options *writeOptions) *sobek.Promise {
	promise, resolve, reject := promises.New(s.vu)
	if options == nil {
		options = &writeOptions{}
	}
	bytes, err := toBytes(data, options.Encoding)
	if err != nil {
		reject(&tcpError{Name: "TCPError", Method: "write", Message: err.Error()})
		return promise
	}
	go func() {
		if err := s.send(bytes, options.Tags); err != nil {
			reject(err)
			return
		}
		resolve(sobek.Undefined())
	}()
	return promise
}

func (s *socket) send(bytes []byte, tags map[string]string) error {
	var conn net.Conn
	s.set(func() { conn = s.conn })
	if conn == nil {
		return errNotOpen
	}
	n, err := conn.Write(bytes)
	s.set(func() { s.written += int64(n) })
	s.count(s.metrics.writes, tags)
	if err != nil && n > 0 {
		s.count(s.metrics.partialWrites, tags)
	}
	return err
}

func toBytes(data sobek.Value, encoding string) ([]byte, error) {
	switch value := data.Export().(type) {
	case sobek.ArrayBuffer:
		return value.Bytes(), nil
	case []byte:
		return value, nil
	case string:
		return decode(value, strings.ToLower(encoding))
	default:
		return nil, errors.New("invalid type: String or ArrayBuffer expected")
	}
}

func decode(text, encoding string) ([]byte, error) {
	switch encoding {
	case "", "utf8", "utf-8", "ascii":
		return []byte(text), nil
	case "base64":
		return base64.StdEncoding.DecodeString(text)
	case "base64url":
		return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	case "hex":
		return hex.DecodeString(text)
	default:
		return nil, fmt.Errorf("unsupported encoding %q", encoding)
	}
}
