// The product's story in one picture: what stops when a person leaves, and what goes on. Each answer on it is what the CMA said
// to that credential a moment ago. The page needs no login, because the login may be what just ended.
import { useEffect, useState } from 'react'
import type { Person } from '../client.ts'
import { useCms, useLoad } from '../cms-context.ts'
import { Await, Empty, Failure, State, Time } from '../pieces/pieces.tsx'
import { navigate } from '../route.ts'

interface Standing {
  person: { uid: string; firstName: string; lastName: string; active: boolean; role: string | null }
  authtoken: Answered
  authorizations: { uid: string; app: string; scopes: string[]; createdAt: string; revokedAt: string | null }[]
  managementTokens: (Answered & { uid: string; name: string })[]
  writes: Write[]
}

/** What the CMA said to a credential; null when there is none to ask with. */
interface Answered {
  answer: number | null
  writeCount: number
  lastWriteAt: string | null
}

interface Write {
  at: string
  by: { kind: string; uid: string; name: string }
  action: string
  module: string
  uid: string
  contentType?: string
  locale?: string
  title: string | null
  person: string | null
}

type Listed = Person & { stacks: { name: string; role: string; apiKey: string }[] }

const refreshMilliseconds = 3000

export function LeavingPage({ apiKey, person: chosen }: { apiKey: string; person: string | null }) {
  const { client } = useCms()
  const people = useLoad(`people ${apiKey}`, async () => {
    const { people } = await client.own<{ people: Listed[] }>('GET', '/people')
    return people.filter(person => person.stacks.some(stack => stack.apiKey === apiKey))
  })
  return (
    <Await of={people}>
      {list => {
        const roleOf = (person: Listed) => person.stacks.find(stack => stack.apiKey === apiKey)?.role
        const person = list.find(({ uid }) => uid === chosen) ?? list.find(candidate => roleOf(candidate) === 'admin') ?? list[0]
        if (!person) return <Empty>Nobody works in this stack.</Empty>
        return (
          <>
            <div className="heading">
              <h1>When a person leaves</h1>
              <span className="grow" />
              <label className="inline">
                <span className="meta">Person</span>
                <select value={person.uid} onChange={event => navigate(`/stack/${apiKey}/people?person=${event.target.value}`)}>
                  {list.map(({ uid, firstName, lastName }) => (
                    <option key={uid} value={uid}>
                      {firstName} {lastName}
                    </option>
                  ))}
                </select>
              </label>
            </div>
            <Picture key={person.uid} apiKey={apiKey} userUid={person.uid} />
          </>
        )
      }}
    </Await>
  )
}

function Picture({ apiKey, userUid }: { apiKey: string; userUid: string }) {
  const { client } = useCms()
  const [standing, setStanding] = useState<Standing | null>(null)
  const [failure, setFailure] = useState<Error | null>(null)
  useEffect(() => {
    let gone = false
    let timer: ReturnType<typeof setTimeout> | undefined
    async function look(): Promise<void> {
      try {
        const found = await client.own<Standing>('GET', `/standing?user=${userUid}&api_key=${apiKey}`)
        if (gone) return
        setStanding(found)
        setFailure(null)
      } catch (error) {
        if (!gone) setFailure(error as Error)
      }
      if (!gone) timer = setTimeout(() => void look(), refreshMilliseconds)
    }
    void look()
    return () => {
      gone = true
      clearTimeout(timer)
    }
  }, [client, apiKey, userUid])

  async function change(how: 'leave' | 'return'): Promise<void> {
    try {
      await client.own('POST', `/people/${userUid}/${how}`)
      setStanding(await client.own<Standing>('GET', `/standing?user=${userUid}&api_key=${apiKey}`))
    } catch (error) {
      setFailure(error as Error)
    }
  }

  if (failure) return <Failure error={failure} />
  if (!standing) return <output className="skeleton" aria-label="Asking the CMA with each credential" />
  const { person, authtoken, authorizations, managementTokens, writes } = standing
  const name = person.firstName
  return (
    <>
      <div className="leaving">
        <p aria-live="polite">
          {person.active ? (
            <>
              <State is="good">here</State> <strong>{name}</strong> works in this stack{person.role ? ` as ${person.role}` : ''}.
            </>
          ) : (
            <>
              <State is="bad">left</State> <strong>{name}</strong> has left. What was {name}'s stopped; what belongs to the stack goes on.
            </>
          )}
        </p>
        {person.active ? (
          <button type="button" className="danger" onClick={() => void change('leave')}>
            {name} leaves
          </button>
        ) : (
          <button type="button" onClick={() => void change('return')}>
            {name} returns
          </button>
        )}
      </div>

      <div className="lanes">
        <section className="lane" aria-labelledby="persons">
          <h2 id="persons">Held by {name}</h2>
          <Held
            title="Authtoken"
            detail={`Names ${name}. Scripts that use it act as ${name}.`}
            of={authtoken}
            none={`${name} holds no authtoken.`}
          />
          {authorizations.map(({ uid, app, scopes, revokedAt, createdAt }) => (
            <div className="held" key={uid}>
              <div>
                <strong>Authorization of {app}</strong>
                <span className="meta below">
                  {scopes.join(' ')} · granted <Time at={createdAt} />
                </span>
              </div>
              <span className={revokedAt ? 'wire cut' : 'wire'} aria-hidden="true" />
              {revokedAt ? (
                <span>
                  <State is="quiet">revoked</State>
                  <span className="meta below">
                    <Time at={revokedAt} />
                  </span>
                </span>
              ) : (
                <State is="good">granted</State>
              )}
            </div>
          ))}
          {authorizations.length === 0 ? <p className="meta">No app acts for {name}.</p> : null}
        </section>
        <section className="lane" aria-labelledby="stacks">
          <h2 id="stacks">Held by the stack</h2>
          {managementTokens.map(token => (
            <Held
              key={token.uid}
              title={`Management token “${token.name}”`}
              detail="Names nobody. Syncs and scripts behind it act as the stack."
              of={token}
              none=""
            />
          ))}
          {managementTokens.length === 0 ? (
            <p className="meta">No management token yet: whatever runs here runs on a person's authtoken.</p>
          ) : null}
        </section>
      </div>

      <h2>Last writes, and whose credential made them</h2>
      {writes.length === 0 ? (
        <Empty>Nothing was written yet.</Empty>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">What</th>
              <th scope="col">Credential</th>
              <th scope="col">Names</th>
            </tr>
          </thead>
          <tbody>
            {writes.map(write => (
              <tr key={`${write.at} ${write.uid} ${write.action} ${write.locale}`}>
                <td>
                  <Time at={write.at} />
                </td>
                <td>
                  {write.action} {write.module.replaceAll('_', ' ')} <strong>{write.title ?? write.uid}</strong>{' '}
                  <span className="meta">{[write.contentType, write.locale].filter(Boolean).join(' · ')}</span>
                </td>
                <td>
                  {kinds[write.by.kind] ?? write.by.kind} <span className="meta">{write.by.name}</span>
                </td>
                <td>{write.person ?? <span className="meta">nobody</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  )
}

const kinds: Record<string, string> = {
  authtoken: 'authtoken',
  management_token: 'management token',
  oauth_user: 'OAuth user token',
  oauth_app: 'OAuth app token'
}

/** A credential, the way to the CMA, and the CMA's answer to it. */
function Held({ title, detail, of, none }: { title: string; detail: string; of: Answered; none: string }) {
  const { answer, writeCount, lastWriteAt } = of
  return (
    <div className="held">
      <div>
        <strong>{title}</strong>
        <span className="meta below">{answer === null ? none : detail}</span>
        <span className="meta below">
          {writeCount} {writeCount === 1 ? 'write' : 'writes'}, last <Time at={lastWriteAt} />
        </span>
      </div>
      <span className={answer !== null && answer < 400 ? 'wire' : 'wire cut'} aria-hidden="true" />
      <Answer status={answer} />
    </div>
  )
}

function Answer({ status }: { status: number | null }) {
  if (status === null) return <State is="quiet">none</State>
  if (status === 429) return <State is="wait">busy, 429</State>
  return status < 400 ? <State is="good">works, {status}</State> : <State is="bad">refused, {status}</State>
}
