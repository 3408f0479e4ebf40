package main

import (
	"context"
	"strconv"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

// judgePackets runs the reference implementation of NetworkPolicy of Kubernetes' own network group. It takes the first packet of each
// connection out of a netfilter queue and says accept or drop. The rules that fill the queue are node.sh's: its own need
// nftables' `queue` in the kernel, which many lack, and it goes on without them.
func judgePackets(ctx context.Context, node, queue string) error {
	number, err := strconv.Atoi(queue)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(ctrl.GetConfigOrDie())
	if err != nil {
		return err
	}
	// It would learn a Pod's address from the container runtime as well (NRI), which here has no such way, and it goes on without that too:
	// switched off by its own setting, it fails at the first packet.
	watches := informers.NewSharedInformerFactory(client, 0)
	policies, err := networkpolicy.NewController(
		client,
		watches.Networking().V1().NetworkPolicies(),
		watches.Core().V1().Namespaces(),
		watches.Core().V1().Pods(),
		nil, nil, nil, nil,
		networkpolicy.Config{NodeName: node, QueueID: number},
	)
	if err != nil {
		return err
	}
	watches.Start(ctx.Done())
	return policies.Run(ctx)
}
