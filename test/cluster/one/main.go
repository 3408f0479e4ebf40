// A Kubernetes node in one program: its first word says which part it is to be.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlerrors "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// kubernetes are the parts that are a cobra command.
var kubernetes = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-proxy":              proxy.NewProxyCommand,
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

// others are the parts that read os.Args themselves.
var others = map[string]func() error{
	"etcd":    func() error { etcdmain.Main(os.Args); return nil },
	"coredns": runDNS,
	"kubectl": runKubectl,
	"gpus":    offerGPUs,
	"relay":   relay,
	"volumes": openVolumes,
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("the first word says which part of a cluster this is to be"))
	}
	// Each part sees the words as if it were the whole program.
	name := os.Args[1]
	os.Args = os.Args[1:]
	if command, found := kubernetes[name]; found {
		os.Exit(cli.Run(command()))
	}
	run, found := others[name]
	if !found {
		fail(fmt.Errorf("%q is no part of a cluster", name))
	}
	if err := run(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func runDNS() error {
	dnsserver.Directives = []string{"errors", "ready", "kubernetes"}
	coremain.Run()
	return nil
}

func runKubectl() error {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlerrors.CheckErr(err)
	}
	return nil
}
