// Package tcp stands in for k6/x/tcp: the same names, arguments, events, metrics and traps, without TLS.
package tcp

import (
	"github.com/grafana/sobek"
	"go.k6.io/k6/v2/js/common"
	"go.k6.io/k6/v2/js/modules"
)

func init() {
	modules.Register("k6/x/tcp", rootModule{})
}

type rootModule struct{}

func (rootModule) NewModuleInstance(vu modules.VU) modules.Instance {
	return &instance{vu: vu, metrics: register(vu.InitEnv().Registry)}
}

type instance struct {
	vu      modules.VU
	metrics *metricSet
}

func (i *instance) Exports() modules.Exports {
	return modules.Exports{Named: map[string]any{"Socket": i.newSocket}}
}

// newSocket is the constructor: new Socket({ tags }).
func (i *instance) newSocket(call sobek.ConstructorCall) *sobek.Object {
	runtime := i.vu.Runtime()
	options := struct{ Tags map[string]string }{}
	if len(call.Arguments) > 0 {
		if err := runtime.ExportTo(call.Argument(0), &options); err != nil {
			common.Throw(runtime, err)
		}
	}
	s := &socket{vu: i.vu, metrics: i.metrics, tags: options.Tags, handlers: map[string]sobek.Callable{}, state: "disconnected"}
	must := func(err error) {
		if err != nil {
			common.Throw(runtime, err)
		}
	}
	methods := map[string]any{"connect": s.connect, "write": s.write, "on": s.on, "setTimeout": s.setTimeout, "destroy": s.destroy}
	for name, method := range methods {
		must(call.This.Set(name, method))
	}
	properties := map[string]func() any{
		"ready_state":   func() any { return s.state },
		"connected":     func() any { return s.state == "open" },
		"bytes_written": func() any { return s.written },
		"bytes_read":    func() any { return s.read },
		"local_ip":      s.whileOpen(func() any { return s.local.IP.String() }),
		"local_port":    s.whileOpen(func() any { return s.local.Port }),
		"remote_ip":     s.whileOpen(func() any { return s.remote.IP.String() }),
		"remote_port":   s.whileOpen(func() any { return s.remote.Port }),
	}
	for name, read := range properties {
		get := runtime.ToValue(func() sobek.Value {
			s.lock.Lock()
			defer s.lock.Unlock()
			if value := read(); value != nil {
				return runtime.ToValue(value)
			}
			return sobek.Undefined()
		})
		must(call.This.DefineAccessorProperty(name, get, nil, sobek.FLAG_FALSE, sobek.FLAG_FALSE))
	}
	return nil
}

// whileOpen hides an address before the connect and after the end.
func (s *socket) whileOpen(read func() any) func() any {
	return func() any {
		if s.conn == nil {
			return nil
		}
		return read()
	}
}
