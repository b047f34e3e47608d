import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { MemoryNetwork } from '../../src/cluster/memory-transport.ts';
import type { HallSubject } from '../suites/hall.ts';
import { CLUSTER, KEY } from '../suites/strange-frames.ts';
import type { TransportSubject } from '../suites/transport.ts';

/** The memory twins, as the conformance suites want them. */
export function memoryWorld(): TransportSubject & HallSubject {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock, cluster: CLUSTER, key: KEY, judge: () => [5] });
  return {
    async open({ nodeId, boot, ...options }) {
      return network.attach(nodeId, boot, options);
    },
    async enter({ nodeId, boot, ...options }) {
      return network.enterHall(nodeId, boot, options);
    },
    async crash(nodeId) {
      network.detach(nodeId);
    },
    async settle() {
      while (clock.runNext());
    },
    async inject(channel, to, frame) {
      network.inject(channel, to, frame);
    },
    async takeDown() {
      network.goDown();
    },
    async bringUp() {
      network.comeUp();
    },
    refused: () => Object.fromEntries(Object.entries(network.counts.refused).filter(([, count]) => count > 0)),
    async dispose() {},
  };
}
