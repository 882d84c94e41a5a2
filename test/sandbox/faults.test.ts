// Trouble of the sandbox as callers meet it: who is refused in which words, what was done before an answer was late or lost, and
// what never happens once the caller is dead.
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Fault, FaultRule } from '../../sandbox/faults.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { ada } from '../../sandbox/world/people.ts'
import { tokensAt } from '../support/installed.ts'
import { ask, logIn, startSandbox } from '../support/sandbox.ts'

let sandbox: Sandbox
let asAda: Record<string, string>
beforeAll(async () => {
  sandbox = await startSandbox()
  asAda = { ...(await logIn(sandbox, ada)), api_key: blogApiKey }
})
afterEach(() => sandbox.context.faults.clear())
afterAll(() => sandbox.close())

const tokensUrl = () => `${sandbox.urls.contentManagement}/v3/stacks/management_tokens`

function newToken(name: string, signal?: AbortSignal): Promise<Response> {
  const token = {
    name,
    scope: [
      { module: '$all', acl: { read: true } },
      { module: 'branch', branches: ['main'], acl: { read: true } }
    ]
  }
  const headers = { ...asAda, 'content-type': 'application/json' }
  return fetch(tokensUrl(), { method: 'POST', headers, body: JSON.stringify({ token }), ...(signal && { signal }) })
}

/** By the control host, as a process beside it would. */
async function trouble(rule: FaultRule): Promise<string> {
  const { status, body } = await ask<{ fault: Fault }>(`${sandbox.urls.control}/faults`, { method: 'POST', body: rule })
  expect(status).toBe(201)
  return body.fault.id
}
const listed = async () => (await ask<{ faults: Fault[] }>(`${sandbox.urls.control}/faults`)).body.faults
const names = () => tokensAt(sandbox).map(({ name }) => name)

describe('401', () => {
  it.each([
    ['an authtoken', { authtoken: 'x' }, 'authtoken'],
    ['an OAuth token', { authorization: 'Bearer x' }, 'access_token'],
    ['a management token', { authorization: 'x' }, 'authorization']
  ])('says 105 of %s at the Content Management API', async (_what, headers, key) => {
    await trouble({ kind: '401', host: 'contentManagement' })
    const { status, body } = await ask(`${sandbox.urls.contentManagement}/v3/environments`, { headers })
    expect({ status, body }).toEqual({
      status: 401,
      body: { error_code: 105, error_message: expect.stringContaining('logged in'), errors: { [key]: ['is not valid.'] } }
    })
  })

  it.each(['application', 'developerHub'] as const)('speaks as OAuth does on %s', async host => {
    await trouble({ kind: '401', host })
    const { status, body } = await ask(`${sandbox.urls[host]}/token`, { method: 'POST', body: {} })
    expect({ status, body }).toMatchObject({ status: 401, body: { error: 'invalid_client', error_description: expect.any(String) } })
    expect(body).not.toHaveProperty('error_code')
  })
})

it('lets so many pass as `skip` says', async () => {
  await trouble({ kind: '500', method: 'GET', pathPattern: '/stacks/management_tokens', skip: 2, times: 2 })
  const statuses: number[] = []
  for (let count = 0; count < 5; count += 1) statuses.push((await fetch(tokensUrl(), { headers: asAda })).status)
  expect(statuses).toEqual([200, 200, 500, 500, 200])
})

it('acts at once where only the answer is slow', async () => {
  await trouble({ kind: 'slow-answer', method: 'POST', delayMs: 300 })
  const began = Date.now()
  const answer = newToken('slow answer')
  await vi.waitFor(() => expect(names()).toContain('slow answer'), { interval: 5 })
  expect(Date.now() - began).toBeLessThan(250)
  const response = await answer
  expect(Date.now() - began).toBeGreaterThanOrEqual(290)
  expect(response.status).toBe(201)
  expect(await response.json()).toMatchObject({ token: { name: 'slow answer' } })
})

it.each(['slow', 'stall'] as const)('acts although the caller has hung up of whom it is %s', async kind => {
  const fault = sandbox.context.faults.add({ kind, method: 'POST', delayMs: 100 })
  const caller = new AbortController()
  const answer = newToken(`too late: ${kind}`, caller.signal)
  await vi.waitFor(() => expect(fault.waiting).toBe(1), { interval: 5 })
  caller.abort()
  await expect(answer).rejects.toThrow('aborted')
  expect(names()).not.toContain(`too late: ${kind}`)
  expect(fault.waiting).toBe(1)
  if (kind === 'stall') sandbox.context.faults.remove(fault.id)
  await vi.waitFor(() => expect(names()).toContain(`too late: ${kind}`))
  expect(fault.waiting).toBe(0)
})

describe('hold', () => {
  it('keeps the request until the rule is deleted, and shows that it was hit', async () => {
    const id = await trouble({ kind: 'hold', method: 'POST', pathPattern: 'management_tokens' })
    expect(await listed()).toEqual([expect.objectContaining({ id, hits: 0 })])
    const answer = newToken('held')
    await sandbox.context.faults.untilHit(id)
    expect(await listed()).toEqual([expect.objectContaining({ id, hits: 1, times: 0 })])
    expect(names()).not.toContain('held')
    await fetch(`${sandbox.urls.control}/faults/${id}`, { method: 'DELETE' })
    expect((await answer).status).toBe(201)
    expect(names()).toContain('held')
    expect(await listed()).toEqual([])
  })

  it('never acts when its caller is gone by then', async () => {
    const id = await trouble({ kind: 'hold', method: 'POST' })
    const caller = new AbortController()
    const answer = newToken('abandoned', caller.signal)
    await sandbox.context.faults.untilHit(id)
    caller.abort()
    await expect(answer).rejects.toThrow('aborted')
    await vi.waitFor(async () => expect(await listed()).toEqual([expect.objectContaining({ hits: 1, waiting: 0 })]))
    sandbox.context.faults.remove(id)
    expect((await newToken('next')).status).toBe(201)
    expect(names()).not.toContain('abandoned')
  })

  it('keeps only the answer where it says so: the act is done', async () => {
    const id = await trouble({ kind: 'hold-answer', method: 'POST' })
    const answer = newToken('answer held')
    let answered = false
    void answer.then(() => (answered = true))
    await vi.waitFor(() => expect(names()).toContain('answer held'))
    expect(await listed()).toEqual([expect.objectContaining({ id, hits: 1 })])
    expect(answered).toBe(false)
    sandbox.context.faults.clear()
    expect(await (await answer).json()).toMatchObject({ token: { name: 'answer held', token: expect.any(String) } })
  })

  it('hits as often as asked, and lets the others through meanwhile', async () => {
    const id = await trouble({ kind: 'hold', pathPattern: 'management_tokens' })
    const first = fetch(tokensUrl(), { headers: asAda })
    await sandbox.context.faults.untilHit(id)
    expect((await fetch(tokensUrl(), { headers: asAda })).status).toBe(200)
    sandbox.context.faults.remove(id)
    expect((await first).status).toBe(200)
  })
})
