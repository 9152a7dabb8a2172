// Echo on Go's net package: a goroutine for each connection, which reads and writes back. Back-pressure comes from the
// blocking write. Usage: echo tcp|udp PORT
package main

import (
	"log"
	"net"
	"os"
)

const (
	tcpBuffer = 32 * 1024
	udpBuffer = 64 * 1024
	udpKernel = 4 << 20
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("echo tcp|udp PORT")
	}
	address := "127.0.0.1:" + os.Args[2]
	if os.Args[1] == "udp" {
		serveUDP(address)
	} else {
		serveTCP(address)
	}
}

func serveTCP(address string) {
	listener, err := net.Listen("tcp4", address)
	if err != nil {
		log.Fatal(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			continue
		}
		go echo(conn)
	}
}

func echo(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, tcpBuffer)
	for {
		n, err := conn.Read(buffer)
		if n > 0 {
			if _, err := conn.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func serveUDP(address string) {
	local, err := net.ResolveUDPAddr("udp4", address)
	if err != nil {
		log.Fatal(err)
	}
	conn, err := net.ListenUDP("udp4", local)
	if err != nil {
		log.Fatal(err)
	}
	_ = conn.SetReadBuffer(udpKernel)
	_ = conn.SetWriteBuffer(udpKernel)
	buffer := make([]byte, udpBuffer)
	for {
		n, peer, err := conn.ReadFromUDPAddrPort(buffer)
		if err == nil {
			_, _ = conn.WriteToUDPAddrPort(buffer[:n], peer)
		}
	}
}
