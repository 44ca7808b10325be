// @openai/agents-realtime in node: RealtimeSession over its own WebSocket transport.
import * as library from '@openai/agents-realtime';

import { agentsSurfaces } from './agents-session.mjs';
import { run } from './program.mjs';

await run(agentsSurfaces(library));
