// The other side of ground.ts: the sandbox in a process of its own, so that its work is not counted as the server's or the
// bench's, with the server as its child. Answers what only the sandbox knows: signed webhooks, and how often it refused.
// Ends with its parent, and ends the server with it.
import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Change } from '../sandbox/changes.ts'
import { logIn } from '../sandbox/demo/admin.ts'
import { choosePorts } from '../sandbox/demo/options.ts'
import { setStage, type Stage } from '../sandbox/demo/stage.ts'
import { ada, harbourPublishing } from '../sandbox/world/people.ts'
import { changeBody } from '../sandbox/webhooks/payload.ts'
import { signBody } from '../sandbox/webhooks/sign.ts'
import { articleType, plantArticles, uidOf } from './articles.ts'
import type { GroundOptions, GroundReady, Question, SignedWebhooks, Writes } from './ground.ts'

const answered = { reads: 0, writes: 0, refused: 0 }

const options = JSON.parse(process.argv[2] ?? '{}') as GroundOptions
const free = {
  DEMO_CMS_PORT: '0',
  DEMO_CMA_PORT: '0',
  DEMO_DEVELOPER_HUB_PORT: '0',
  DEMO_IDENTITY_PORT: '0',
  DEMO_CONTROL_PORT: '0',
  DEMO_SERVER_PORT: '0'
}
const stage = await setStage({
  directory: options.directory,
  ports: await choosePorts(free),
  ...(options.profileDirectory === undefined ? {} : { nodeArguments: ['--cpu-prof', `--cpu-prof-dir=${options.profileDirectory}`] }),
  sandbox: {
    ...(options.limits === 'off' ? { limits: 'off' } : {}),
    world(world) {
      const stack = Object.values(world.stacks).find(stack => stack.organizationUid === harbourPublishing)
      if (stack) plantArticles(stack, options.entries)
    }
  }
})

// All answers of this process: the sandbox is all that answers here.
subscribe('http.server.response.finish', message => {
  const { request, response } = message as { request: IncomingMessage & { originalUrl?: string }; response: ServerResponse }
  // Express cuts `url` down on its way through routers.
  if (!request.originalUrl?.startsWith('/v3/content_types/')) return
  if (request.method === 'GET') {
    answered.reads += 1
    return
  }
  answered.writes += 1
  if (response.statusCode === 429) answered.refused += 1
})

let closing = false
const close = async () => {
  if (closing) return
  closing = true
  await stage.close()
  process.exit(0)
}
process.once('disconnect', () => void close())
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void close())
process.on('message', (question: Question) => {
  answer(question).then(
    value => process.send?.({ id: question.id, value }),
    (error: unknown) => process.send?.({ id: question.id, error: error instanceof Error ? error.message : String(error) })
  )
})
process.send?.({ ready: await readyOf(stage) })

async function readyOf({ urls, server, app, stack, person, filesDirectory }: Stage): Promise<GroundReady> {
  const { apiKey, organizationUid, masterLocale } = stack
  return {
    urls,
    server: server.url,
    serverPid: server.pid,
    logFile: server.logFile,
    app,
    stack: { apiKey, organizationUid, masterLocale },
    ada: await logIn(person, urls, ada),
    filesDirectory
  }
}

async function answer(question: Question): Promise<SignedWebhooks | Writes | null> {
  if (question.ask === 'sign') return await signedWebhooks(question.count, question.entries)
  if (question.ask === 'writes') {
    return {
      ...answered,
      acceptedAt: stage.stack.writes.filter(write => write.contentType === question.contentType).map(write => Date.parse(write.at))
    }
  }
  setTimeout(() => void close(), 0)
  return null
}

/** As the CMS would send them after `count` saves of so many entries, which stand at their first version. */
async function signedWebhooks(count: number, entries: number): Promise<SignedWebhooks> {
  const { stack, sandbox, server } = stage
  const destination = Object.values(stack.webhooks)
    .flatMap(webhook => webhook.destinations)
    .find(({ target_url }) => target_url.startsWith(`${server.url}/webhooks/content/`))
  if (!destination) throw new Error('The server has not registered its webhook.')
  const contentType = stack.contentTypes['main']?.[articleType]
  const headers = Object.fromEntries(destination.custom_header.map(({ header_name, value }) => [header_name.toLowerCase(), value]))
  const webhooks = []
  for (let index = 0; index < count; index++) {
    const uid = uidOf(index % entries)
    // No two bodies are equal, and none announces a version that nobody will ever read.
    const object = { uid, title: `${uid} ${index}`, locale: stack.masterLocale, _version: 1 }
    const change = {
      module: 'entry',
      event: 'update',
      apiKey: stack.apiKey,
      branch: 'main',
      locale: stack.masterLocale,
      contentType,
      object,
      at: new Date().toISOString()
    }
    const body = changeBody(change as unknown as Change, undefined, true)
    webhooks.push({ body, signature: await signBody(sandbox.world.signing.privatePem, Buffer.from(body)) })
  }
  return { url: destination.target_url, headers, webhooks }
}
