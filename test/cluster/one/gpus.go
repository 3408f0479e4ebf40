package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/fsnotify/fsnotify"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	plugin "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// gpus is a device plugin whose devices do not exist: a container that gets one sees its name in NVIDIA_VISIBLE_DEVICES, no more.
type gpus struct {
	plugin.UnimplementedDevicePluginServer
	count int
}

func (g *gpus) GetDevicePluginOptions(context.Context, *plugin.Empty) (*plugin.DevicePluginOptions, error) {
	return &plugin.DevicePluginOptions{}, nil
}

func (g *gpus) ListAndWatch(_ *plugin.Empty, stream plugin.DevicePlugin_ListAndWatchServer) error {
	var devices []*plugin.Device
	for i := range g.count {
		devices = append(devices, &plugin.Device{ID: "GPU-" + strconv.Itoa(i), Health: plugin.Healthy})
	}
	if err := stream.Send(&plugin.ListAndWatchResponse{Devices: devices}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func (g *gpus) Allocate(_ context.Context, request *plugin.AllocateRequest) (*plugin.AllocateResponse, error) {
	answer := &plugin.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		visible := map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(container.DevicesIds, ",")}
		answer.ContainerResponses = append(answer.ContainerResponses, &plugin.ContainerAllocateResponse{Envs: visible})
	}
	return answer, nil
}

// offerGPUs N: offers N nvidia.com/gpu to each kubelet that comes up.
func offerGPUs() error {
	count, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	if err := watcher.Add(plugin.DevicePluginPath); err != nil {
		return err
	}
	// A kubelet empties this folder as it starts, so that the plugin's socket is made after the kubelet's own.
	var server *grpc.Server
	_, err = os.Stat(plugin.KubeletSocket)
	for there := err == nil; ; {
		if there {
			if server != nil {
				server.Stop()
			}
			if server, err = serveGPUs(count); err != nil {
				return err
			}
		}
		select {
		case event := <-watcher.Events:
			there = event.Name == plugin.KubeletSocket && event.Has(fsnotify.Create)
		case err := <-watcher.Errors:
			return err
		}
	}
}

func serveGPUs(count int) (*grpc.Server, error) {
	socket := filepath.Join(plugin.DevicePluginPath, "gpus.sock")
	os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer()
	plugin.RegisterDevicePluginServer(server, &gpus{count: count})
	go server.Serve(listener)
	connection, err := grpc.NewClient("unix://"+plugin.KubeletSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	registration := &plugin.RegisterRequest{Version: plugin.Version, Endpoint: "gpus.sock", ResourceName: "nvidia.com/gpu"}
	_, err = plugin.NewRegistrationClient(connection).Register(context.Background(), registration, grpc.WaitForReady(true))
	if err == nil {
		fmt.Println(count, "GPUs offered")
	}
	return server, err
}
