import { environmentForChildren } from './system-environment.ts';
import { openHostChannel } from './system-host-channel.ts';
import { ShLauncher } from './system-sh-launcher.ts';
import { ShellHost } from './system-shell-host.ts';
import { SpawnLauncher } from './system-spawn-launcher.ts';

/** Children end before the host does; those that cannot be ended do not hold it for ever. */
const LEAVE_MS = 2_000;

const [processesMax = '', launcherName = ''] = process.argv.slice(2);
const spawnLauncher = new SpawnLauncher();
const environment = environmentForChildren(process.env, true);
const host = new ShellHost({
  launcher: launcherName === 'sh' ? ShLauncher.create(spawnLauncher, environment) : spawnLauncher,
  processesMax: Number(processesMax),
  send: openHostChannel({
    receive: (message) => host.receive(message),
    gone: () => {
      host.stopAll();
      const leaveAtMs = performance.now() + LEAVE_MS;
      setInterval(() => {
        if (host.runCount > 0 && performance.now() < leaveAtMs) return;
        host.close();
        process.exit(0);
      }, 10);
    },
  }),
});
// Signals to the node's group (Ctrl-C) are the node's business.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
