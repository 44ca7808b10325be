// rt-client in node.
import * as library from 'rt-client';

import { run } from './program.mjs';
import { rtSurfaces } from './rt-surfaces.mjs';

await run(rtSurfaces(library));
