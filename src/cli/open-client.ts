import { CodedError } from '../base/errors.ts';
import type { Client, ClientOptions } from './client.ts';
import { openHttpClient } from './http-client.ts';
import { openNatsClient } from './nats-client.ts';

export async function openClient(options: ClientOptions): Promise<Client> {
  const { url } = options;
  if (/^https?:\/\//.test(url)) return openHttpClient(options);
  if (/^(nats|tls):\/\//.test(url)) return openNatsClient(options);
  throw new CodedError('invalid', `--url ${url}: write http://host:8080 or nats://host:4222`);
}
