package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// relay FROM TO: what connects to FROM talks with TO; each is `tcp:HOST:PORT` or `unix:PATH`. Says on stdout where it listens.
// One on each side of a socket in a folder is a door into another network namespace.
func relay() error {
	network, address, _ := strings.Cut(os.Args[1], ":")
	listener, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	network, address, _ = strings.Cut(os.Args[2], ":")
	for {
		caller, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer caller.Close()
			called, err := net.Dial(network, address)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return
			}
			defer called.Close()
			go pass(called, caller)
			pass(caller, called)
		}()
	}
}

// pass copies until `from` ends, and tells `to` that nothing more comes.
func pass(to, from net.Conn) {
	io.Copy(to, from)
	if half, can := to.(interface{ CloseWrite() error }); can {
		half.CloseWrite()
	}
}
