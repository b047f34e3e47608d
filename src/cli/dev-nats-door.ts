/** The way of `dev` to NATS: its address and credentials, and the service that answers there. */
import type { ApiContext } from '../api/call.ts';
import { parseNatsAddress } from '../api/nats-address.ts';
import type { NatsService } from '../api/nats-service.ts';
import type { Settings } from '../config.ts';
import type { Secrets } from './secrets.ts';

/** `url` counts where the settings name no NATS: of the nats-server that `dev` has started. */
export async function openNatsDoor(
  settings: Settings,
  context: ApiContext,
  { nats }: Pick<Secrets, 'nats'>,
  url: string,
  version: string,
): Promise<NatsService> {
  // Loaded now, so that HTTP and the first fire need not wait for it.
  const { startNatsService } = await import('../api/nats-service.ts');
  const service = startNatsService({
    context,
    cluster: settings.cluster,
    nodeName: settings.nodeName,
    version,
    door: nats.servers.length === 0 ? parseNatsAddress(url) : nats,
  });
  // A NATS that is away is no reason not to start: the door opens when it is there.
  service.connected.catch(() => {});
  return service;
}
