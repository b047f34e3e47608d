import { testShell } from './shell-suite.ts';

testShell('sh');
