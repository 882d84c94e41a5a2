// The control host: what no platform has. Reads the world, makes trouble, moves time, lets people leave, registers our app without the
// Developer Hub's form. It shows passwords and secrets of a toy world and therefore answers on loopback only, under a loopback name.
import express, { type Request } from 'express'
import type { SandboxContext } from '../context.ts'
import { createApp, isJson } from '../developerhub/apps.ts'
import type { FaultRule } from '../faults.ts'
import type { IdentityRoom } from '../identity/provider.ts'
import { answerRefusals, hubRefusal } from '../oauth/refusal.ts'
import { setPlays } from '../plays.ts'
import { comeBack, leave } from '../world/people.ts'
import type { Stack } from '../world/model.ts'
import { countsOf } from './counts.ts'
import { worldSummary } from './summary.ts'

interface Hands {
  settle: () => Promise<void>
  identity: IdentityRoom
}

export function createControl(context: SandboxContext, { settle, identity }: Hands): express.Express {
  const { world, clock, plays, faults, limits } = context
  const app = express()
  app.disable('x-powered-by')
  app.use(onlyLoopbackNames)
  app.use(express.json({ limit: '2mb' }))

  app.get('/world', (_request, response) => void response.json(worldSummary(context)))
  app.get('/counts', (request, response) => {
    const branch = typeof request.query.branch === 'string' ? request.query.branch : 'main'
    response.json(countsOf(stackNamed(request), branch))
  })
  app.get('/writes', (request, response) => void response.json({ writes: stackNamed(request).writes }))
  app.get('/executions', (request, response) => void response.json({ executions: stackNamed(request).executions }))
  app.get('/authorizations', (_request, response) => void response.json({ authorizations: Object.values(world.authorizations) }))

  app.get('/faults', (_request, response) => void response.json({ faults: faults.list() }))
  app.post('/faults', (request, response) => {
    const rule = saidToCaller(() => faults.add(bodyOf(request) as unknown as FaultRule))
    response.status(201).json({ fault: rule })
  })
  app.delete('/faults', (_request, response) => {
    faults.clear()
    response.json({ faults: [] })
  })
  app.delete('/faults/:id', (request, response) => {
    faults.remove(request.params.id)
    response.json({ faults: faults.list() })
  })
  app.get('/plays', (_request, response) => void response.json({ plays }))
  app.post('/plays', (request, response) => {
    saidToCaller(() => setPlays(plays, bodyOf(request)))
    response.json({ plays })
  })
  app.get('/clock', (_request, response) => void response.json({ now: clock.iso(), speed: clock.speed }))
  app.post('/clock', (request, response) => {
    const { advanceMs, speed } = bodyOf(request)
    if (speed !== undefined) saidToCaller(() => clock.setSpeed(numberFrom(speed, 'speed')))
    if (advanceMs !== undefined) clock.advance(numberFrom(advanceMs, 'advanceMs'))
    response.json({ now: clock.iso(), speed: clock.speed })
  })
  app.post('/limits', (request, response) => {
    const next = bodyOf(request)
    for (const name of ['read', 'write', 'bulk'] as const) if (next[name] !== undefined) limits[name] = numberFrom(next[name], name)
    if (next.off !== undefined) limits.off = next.off === true
    response.json({ limits })
  })
  app.post('/settle', async (_request, response) => {
    await settle()
    response.json({ settled: true })
  })

  app.post('/people/:uid/leave', (request, response) => {
    saidToCaller(() => leave(context, request.params.uid))
    response.json({ active: false })
  })
  app.post('/people/:uid/return', (request, response) => {
    saidToCaller(() => comeBack(context, request.params.uid))
    response.json({ active: true })
  })
  app.post('/tokens/:uid/revoke', (request, response) => {
    const token = Object.values(world.stacks).flatMap(stack =>
      Object.values(stack.managementTokens).filter(it => it.uid === request.params.uid)
    )[0]
    if (!token) throw hubRefusal(404, 'There is no such management token.')
    token.dead = true
    token.deadSince = clock.iso()
    token.updatedAt = clock.iso()
    response.json({ dead: true })
  })
  app.post('/apps', (request, response) => {
    const { manifest, oauth, organizationUid } = bodyOf(request)
    if (!isJson(manifest)) throw hubRefusal(400, 'Send {"manifest": {…}, "oauth": {…}, "organizationUid"?}.')
    const owner = typeof organizationUid === 'string' ? organizationUid : (manifest.organization_uid ?? Object.keys(world.organizations)[0])
    if (typeof owner !== 'string' || !Object.hasOwn(world.organizations, owner)) throw hubRefusal(404, 'There is no such organization.')
    const created = createApp(context, owner, { ...manifest, ...(isJson(oauth) && { oauth }) })
    response.status(201).json({ appUid: created.uid, clientId: created.oauth.clientId, clientSecret: created.oauth.clientSecret })
  })
  app.post('/identity-clients', (request, response) => {
    const { clientId, clientSecret, redirectUris, postLogoutRedirectUris, tokenEndpointAuthMethod } = bodyOf(request)
    if (typeof clientId !== 'string' || typeof clientSecret !== 'string' || !isTexts(redirectUris)) {
      throw hubRefusal(400, 'Send {"clientId", "clientSecret", "redirectUris": [...]}.')
    }
    identity.registerClient({
      clientId,
      clientSecret,
      redirectUris,
      ...(isTexts(postLogoutRedirectUris) && { postLogoutRedirectUris }),
      ...(tokenEndpointAuthMethod === 'client_secret_basic' && { tokenEndpointAuthMethod })
    })
    response.status(201).json({ clientId })
  })
  app.use(
    (request, response) => void response.status(404).json({ error_message: `The control host has no ${request.method} ${request.path}.` })
  )
  app.use(answerRefusals)
  return app

  function stackNamed(request: Request): Stack {
    const apiKey = request.query.api_key
    const stack = typeof apiKey === 'string' && Object.hasOwn(world.stacks, apiKey) ? world.stacks[apiKey] : undefined
    if (!stack) throw hubRefusal(404, 'Name a stack of the world: ?api_key=…')
    return stack
  }
}

/** A page somewhere on the web whose name was pointed at 127.0.0.1 would come with its own name in `host`, or its own origin. */
const onlyLoopbackNames: express.RequestHandler = (request, _response, next) => {
  const origin = request.header('origin')
  if (!isLoopback(`http://${request.header('host') ?? ''}`) || (origin !== undefined && !isLoopback(origin))) {
    throw hubRefusal(403, 'The control host answers on loopback only.')
  }
  next()
}

const isLoopback = (address: string): boolean =>
  URL.canParse(address) && ['localhost', '127.0.0.1', '[::1]'].includes(new URL(address).hostname)

const bodyOf = (request: Request): Record<string, unknown> => (isJson(request.body) ? request.body : {})

const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(it => typeof it === 'string')

function numberFrom(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw hubRefusal(400, `"${name}" is a number of 0 or more.`)
  return value
}

/** The rooms say RangeError for what a caller got wrong. */
function saidToCaller<T>(act: () => T): T {
  try {
    return act()
  } catch (error) {
    if (error instanceof RangeError) throw hubRefusal(400, error.message)
    throw error
  }
}
