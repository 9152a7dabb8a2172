// k6 with a stand-in for its TCP module, for the tests of bench/*.js: the module itself is not in the Go module
// registry, and a test may not depend on what a stock k6 downloads.
package main

import (
	_ "echo-server/test/k6/tcp"

	"go.k6.io/k6/v2/cmd"
)

func main() {
	cmd.Execute()
}
