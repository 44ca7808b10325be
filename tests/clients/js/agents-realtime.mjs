// @openai/agents-realtime in node: RealtimeSession over its own WebSocket transport.
import * as library from '@openai/agents-realtime';

import { SessionTurns } from './agents-session.mjs';
import { perform } from './perform.mjs';

await perform({ GA: (job) => new SessionTurns(job, library) });
