package main

import (
	"fmt"
	"os"

	"github.com/fsnotify/fsnotify"
)

// openVolumes FOLDER: every folder that appears in FOLDER may be written by everybody. The provisioner of the controller-manager
// makes the folders of its volumes for root alone, and a hostPath volume knows no fsGroup.
func openVolumes() error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	if err := watcher.Add(os.Args[1]); err != nil {
		return err
	}
	fmt.Println("watching", os.Args[1])
	for {
		select {
		case event := <-watcher.Events:
			if event.Has(fsnotify.Create) {
				// One that is gone again needs nothing.
				os.Chmod(event.Name, 0o777)
			}
		case err := <-watcher.Errors:
			return err
		}
	}
}
