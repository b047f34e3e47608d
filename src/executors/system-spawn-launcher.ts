import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Launcher, LaunchListener } from './launcher.ts';
import type { ChildCommand } from './shell-config.ts';

/** By Node's own `spawn`: exact and general, but it blocks its thread for about a millisecond. */
export class SpawnLauncher implements Launcher {
  launch(command: ChildCommand, listener: LaunchListener): void {
    const user = findUser(command.user);
    if (typeof user === 'string') return listener.failed(user);
    const [program, ...rest] = command.words;
    const child = spawn(program, rest, {
      ...(command.directory === '' ? {} : { cwd: command.directory }),
      ...(user ?? {}),
      env: command.environment,
      detached: true,
      stdio: [command.payload === null ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      // Without a pid it never ran; a later error is one of signalling, which has its own answer.
      if (child.pid === undefined) listener.failed(describe(error, command));
    });
    if (child.pid === undefined) return;
    child.on('exit', (exitCode, signal) => listener.exited(exitCode, signal));
    if (child.stdin !== null) {
      // A child that does not read its input is no failure.
      child.stdin.on('error', () => {});
      child.stdin.end(command.payload);
    }
    listener.started(
      child.pid,
      [child.stdout, child.stderr].filter((stream) => stream !== null),
    );
  }

  close(): void {}
}

function describe(error: NodeJS.ErrnoException, command: ChildCommand): string {
  const [program] = command.words;
  if (error.code === 'ENOENT' && command.directory !== '') {
    return `shell: cannot start ${program} in ${command.directory}: no such file or directory`;
  }
  if (error.code === 'ENOENT') return `shell: cannot start ${program}: no such file, nor on the PATH`;
  return `shell: cannot start ${program}: ${error.message}`;
}

/** `user` or `user:group`, by name or number; a text says why not. Supplementary groups are dropped. */
function findUser(text: string): { readonly uid: number; readonly gid: number } | string | null {
  if (text === '') return null;
  if (process.getuid?.() !== 0) return `shell: su ${text}: only a node that runs as root can change the user`;
  const [userName = '', groupName = ''] = text.split(':');
  const user = findRow('/etc/passwd', userName);
  if (user === undefined) return `shell: su ${text}: no user ${userName}`;
  const group = groupName === '' ? user[3] : findRow('/etc/group', groupName)?.[2];
  if (group === undefined) return `shell: su ${text}: no group ${groupName}`;
  return { uid: Number(user[2]), gid: Number(group) };
}

function findRow(file: string, nameOrNumber: string): readonly string[] | undefined {
  const rows = readFileSync(file, 'utf8').split('\n');
  return rows.map((row) => row.split(':')).find((row) => row[0] === nameOrNumber || row[2] === nameOrNumber);
}
