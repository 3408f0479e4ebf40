// Controllers that a cluster may have beside Kubernetes' own, in one program:
//
//	controllers trainer FOLDER            JobSet and Kubeflow Trainer; their webhooks listen on 127.0.0.1:9443 with tls.crt and tls.key of FOLDER
//	controllers network-policies NODE QUEUE   judges the packets of a netfilter queue by the NetworkPolicies
//
// The cluster is that of $KUBECONFIG.
package main

import (
	"context"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
	jobsetcontrollers "sigs.k8s.io/jobset/pkg/controllers"
	jobsetwebhooks "sigs.k8s.io/jobset/pkg/webhooks"
	scheduling "sigs.k8s.io/scheduler-plugins/apis/scheduling/v1alpha1"

	trainer "github.com/kubeflow/trainer/v2/pkg/apis/trainer/v1alpha1"
	trainercontrollers "github.com/kubeflow/trainer/v2/pkg/controller"
	trainerruntime "github.com/kubeflow/trainer/v2/pkg/runtime/core"
	trainerwebhooks "github.com/kubeflow/trainer/v2/pkg/webhooks"
)

func main() {
	ctrl.SetLogger(zap.New())
	ctx := ctrl.SetupSignalHandler()
	words := os.Args[1:]
	var err error
	switch {
	case len(words) == 2 && words[0] == "trainer":
		err = runTrainer(ctx, words[1])
	case len(words) == 3 && words[0] == "network-policies":
		err = judgePackets(ctx, words[1], words[2])
	default:
		err = fmt.Errorf("usage: controllers trainer FOLDER | network-policies NODE QUEUE")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runTrainer(ctx context.Context, certificates string) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, jobset.AddToScheme, trainer.AddToScheme, scheduling.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	manager, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Scheme:        scheme,
		Client:        client.Options{Cache: &client.CacheOptions{Unstructured: true}},
		Metrics:       metrics.Options{BindAddress: "0"},
		WebhookServer: webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: 9443, CertDir: certificates}),
	})
	if err != nil {
		return err
	}
	for _, add := range []func(context.Context, ctrl.Manager) error{addJobSet, addTrainer} {
		if err := add(ctx, manager); err != nil {
			return err
		}
	}
	return manager.Start(ctx)
}

func addJobSet(ctx context.Context, manager ctrl.Manager) error {
	own, scheme := manager.GetClient(), manager.GetScheme()
	if err := jobsetcontrollers.SetupJobSetIndexes(ctx, manager.GetFieldIndexer()); err != nil {
		return err
	}
	if err := jobsetcontrollers.SetupPodIndexes(ctx, manager.GetFieldIndexer()); err != nil {
		return err
	}
	sets := jobsetcontrollers.NewJobSetReconciler(own, scheme, manager.GetEventRecorderFor("jobset"))
	if err := sets.SetupWithManager(manager); err != nil {
		return err
	}
	pods := jobsetcontrollers.NewPodReconciler(own, scheme, manager.GetEventRecorderFor("pod"))
	if err := pods.SetupWithManager(manager); err != nil {
		return err
	}
	hook, err := jobsetwebhooks.NewJobSetWebhook(own)
	if err != nil {
		return err
	}
	if err := hook.SetupWebhookWithManager(manager); err != nil {
		return err
	}
	return jobsetwebhooks.NewPodWebhook(own).SetupWebhookWithManager(manager)
}

func addTrainer(ctx context.Context, manager ctrl.Manager) error {
	runtimes, err := trainerruntime.New(ctx, manager.GetClient(), manager.GetFieldIndexer())
	if err != nil {
		return err
	}
	if _, err := trainercontrollers.SetupControllers(manager, runtimes, controller.Options{}); err != nil {
		return err
	}
	_, err = trainerwebhooks.Setup(manager, runtimes)
	return err
}
