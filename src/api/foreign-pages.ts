/** Which requests come from a web page that is not this node's own: a browser sends them with the user's reach. */

export interface PageHeaders {
  readonly host: string | undefined;
  readonly origin: string | undefined;
}

/** Why the request is refused, or undefined. Programs send no Origin, and the Host that they were given. */
export function foreignPage({ host, origin }: PageHeaders, isLoopback: boolean): string | undefined {
  if (isLoopback && host !== undefined && !isLoopbackHost(nameOf(host))) {
    return 'Host names another machine and this node listens on a loopback address: use localhost or 127.0.0.1';
  }
  if (origin !== undefined && !isSameHost(origin, host)) {
    return 'Origin is another host than Host: web pages of other hosts may not use this node';
  }
  return undefined;
}

/** `localhost`, `127.x.x.x`, `::1`, with or without brackets. */
export function isLoopbackHost(name: string): boolean {
  return /^(localhost|127(\.[0-9]{1,3}){3}|\[::1\]|::1)$/i.test(name);
}

function nameOf(host: string): string {
  return host.replace(/:[0-9]*$/, '');
}

/** An address leaves out the port that its scheme implies, and a Host header may not. */
function isSameHost(origin: string, host: string | undefined): boolean {
  if (host === undefined || !URL.canParse(origin)) return false;
  const page = new URL(origin);
  const here = `${page.protocol}//${host}`;
  return page.host !== '' && URL.canParse(here) && new URL(here).host === page.host;
}
