// Logging in is choosing one of the sandbox's people. The page behind it stays at its address.
import { useState } from 'react'
import type { Person } from '../client.ts'
import { useCms, useLoad } from '../cms-context.ts'
import { Await, Failure, State } from '../pieces/pieces.tsx'

type Listed = Person & { organizations: string[]; stacks: { name: string; role: string }[] }

export function LoginPage({ refused }: { refused: string | null }) {
  const { client, login } = useCms()
  const people = useLoad('people', () => client.own<{ people: Listed[] }>('GET', '/people'))
  const [failure, setFailure] = useState<Error | null>(null)

  async function choose(person: Person): Promise<void> {
    try {
      await login(person)
    } catch (error) {
      setFailure(error as Error)
    }
  }
  return (
    <main className="gate">
      <p className="brand">
        <span className="logo" aria-hidden="true" /> Sandbox CMS
      </p>
      <h1>Who are you?</h1>
      <p className="meta">This is a local stand-in for Contentstack. Its people are made up; choosing one logs you in.</p>
      {refused ? (
        <p className="notice bad" role="alert">
          {refused}'s authtoken was refused (HTTP 401, error code 105): the session is over.
        </p>
      ) : null}
      {failure ? <Failure error={failure} /> : null}
      <Await of={people}>
        {({ people }) => (
          <ul className="people">
            {people.map(person => (
              <li key={person.uid}>
                <button type="button" onClick={() => void choose(person)} data-person={person.firstName}>
                  <Initials person={person} />
                  <span className="grow">
                    <strong>
                      {person.firstName} {person.lastName}
                    </strong>
                    <span className="meta">
                      {person.stacks.map(({ name, role }) => `${role} of ${name}`).join(', ') || person.organizations.join(', ')}
                    </span>
                  </span>
                  {person.active ? null : <State is="bad">has left</State>}
                </button>
              </li>
            ))}
          </ul>
        )}
      </Await>
    </main>
  )
}

export function Initials({ person }: { person: { firstName: string; lastName: string } }) {
  return (
    <span className="initials" aria-hidden="true">
      {person.firstName.slice(0, 1)}
      {person.lastName.slice(0, 1)}
    </span>
  )
}
