/** What this machine lets us do to a cluster, and a world of our own to do it in. */
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { fileOfDebianPackage, findOnPath } from '../helpers/debian-package.ts';
import type { FaultKind } from './plan.ts';

export interface Machine {
  /** We are in namespaces of our own: mounts, addresses and firewall rules end with us. */
  readonly isPrivate: boolean;
  readonly strace: string | undefined;
  readonly iptables: string | undefined;
  /** The library that fakes the wall clock of a process. */
  readonly faketime: string | undefined;
}

export async function lookAround(): Promise<Machine> {
  const isPrivate = process.env[INSIDE] === 'yes';
  const strace = await findTool('strace', 'usr/bin/strace');
  const iptables = isPrivate ? await findOnPath('iptables') : undefined;
  return {
    isPrivate,
    strace: works(strace, '-qq', '-o', '/dev/null', '-e', 'inject=fsync:error=EIO', 'true') ? strace : undefined,
    iptables: works(iptables, '-L') ? iptables : undefined,
    faketime: await fileOfDebianPackage('libfaketime', FAKETIME_PATH).catch(() => undefined),
  };
}

/** Faults that cannot be had here, each with its reason. */
export function missingFaults(machine: Machine, natsServers: number): ReadonlyMap<FaultKind, string> {
  const missing = new Map<FaultKind, string>();
  if (natsServers < 3) missing.set('nats-kill-one', 'there is one nats-server');
  if (!machine.isPrivate) missing.set('disk-full', `no small disk can be mounted: ${NO_WORLD}`);
  if (machine.strace === undefined) {
    for (const kind of ['fsync-error', 'fsync-slow'] as const)
      missing.set(kind, 'there is no strace, or it may not look into processes');
  }
  if (machine.iptables === undefined) {
    const reason = machine.isPrivate ? 'there is no iptables, or it does not work here' : NO_WORLD;
    for (const kind of ['cut-outward', 'cut-inward'] as const) missing.set(kind, reason);
  }
  if (machine.faketime === undefined) {
    for (const kind of ['clock-ahead', 'clock-behind'] as const) missing.set(kind, 'there is no libfaketime');
  }
  return missing;
}

/**
 * The words to put before a command so that it runs in a network and a mount table of its own, or nothing where the kernel
 * does not allow it. What the tools need from the network must have been fetched before.
 */
export function wordsOfPrivateWorld(): readonly string[] {
  const root = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const words = ['unshare', ...root, '--net', '--mount'];
  const [program = '', ...rest] = words;
  return works(program, ...rest, 'sh', '-c', PROBE) ? words : [];
}

/** Set in the environment of the process in the private world. */
export const INSIDE = 'CARILLON_CHAOS_INSIDE';

/** Runs a program to its end; rejects with what it said where it fails. */
export async function command(program: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, [...args]);
  return stdout;
}

const NO_WORLD = 'there are no namespaces for this user, or no ip, mount and nsenter';
/** What `network.ts` and `tiny-disk.ts` do, once. */
const PROBE = [
  'mount -t tmpfs tmpfs /run',
  'ip netns add probe',
  'ip link add wire type veth peer name hub netns probe',
  'nsenter --net=/run/netns/probe ip link set lo up',
].join(' && ');
const FAKETIME_PATH = `usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime/libfaketimeMT.so.1`;

function works(program: string | undefined, ...args: readonly string[]): boolean {
  return program !== undefined && spawnSync(program, args).status === 0;
}

async function findTool(name: string, path: string): Promise<string | undefined> {
  return (await findOnPath(name)) ?? (await fileOfDebianPackage(name, path).catch(() => undefined));
}
