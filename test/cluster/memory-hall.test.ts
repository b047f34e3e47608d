import { hallSuite } from '../suites/hall.ts';
import { memoryWorld } from './memory-world.ts';

hallSuite('memory hall', async () => memoryWorld());
