// The entries of one content type in one locale, a page of 30 at a time, newest change first.
import { useLoad, useSession } from '../cms-context.ts'
import type { ContentType, EntryData } from '../entry/draft.ts'
import { Await, Empty, Link, State, Time, Uid } from '../pieces/pieces.tsx'
import { navigate } from '../route.ts'
import type { StackScope } from './shell.tsx'

const pageSize = 30

interface Props {
  scope: StackScope
  contentTypeUid: string
  locale: string
  skip: number
}

export function EntriesPage({ scope: { stack, branch, locales }, contentTypeUid, locale, skip }: Props) {
  const { client } = useSession()
  const base = `/stack/${stack.api_key}/content-type/${contentTypeUid}`
  const inBranch = branch === 'main' ? '' : `&branch=${branch}`
  const page = useLoad(`${base} ${branch} ${locale} ${skip}`, async () => {
    const path = `/content_types/${contentTypeUid}`
    const params = { locale, skip, limit: pageSize, include_count: true, desc: 'updated_at', include_publish_details: true }
    const [{ content_type }, { entries, count = 0 }] = await Promise.all([
      client.cma<{ content_type: ContentType }>('GET', path, stack.api_key, { branch }),
      client.cma<{ entries: EntryData[]; count?: number }>('GET', `${path}/entries`, stack.api_key, { branch, params })
    ])
    return { contentType: content_type, entries, count }
  })
  return (
    <>
      <div className="heading">
        <h1>{page.data?.contentType.title ?? contentTypeUid}</h1>
        <label className="inline">
          <span className="meta">Locale</span>
          <select value={locale} onChange={event => navigate(`${base}?locale=${event.target.value}${inBranch}`)}>
            {locales.map(({ code }) => (
              <option key={code}>{code}</option>
            ))}
          </select>
        </label>
        <button type="button" onClick={page.reload}>
          Refresh
        </button>
        <span className="grow" />
        <button type="button" className="primary" onClick={() => navigate(`${base}/${locale}/entry/create?${inBranch.slice(1)}`)}>
          New entry
        </button>
      </div>
      <Await of={page}>
        {({ entries, count }) =>
          count === 0 ? (
            <Empty>No entry of this type yet. The first one appears here, whoever writes it: a person, a script, a sync.</Empty>
          ) : (
            <>
              <table>
                <thead>
                  <tr>
                    <th scope="col">Title</th>
                    <th scope="col">Uid</th>
                    <th scope="col">Language</th>
                    <th scope="col" className="number">
                      Version
                    </th>
                    <th scope="col">Published</th>
                    <th scope="col">Changed</th>
                  </tr>
                </thead>
                <tbody>
                  {entries.map(entry => (
                    <tr key={entry.uid}>
                      <td>
                        <Link to={`${base}/${locale}/entry/${entry.uid}/edit?${inBranch.slice(1)}`}>{entry.title ?? entry.uid}</Link>
                      </td>
                      <td>
                        <Uid value={entry.uid ?? ''} />
                      </td>
                      <td>{entry.locale === locale ? entry.locale : <span className="meta">from {entry.locale}</span>}</td>
                      <td className="number">{entry._version}</td>
                      <td>{published(entry) ? <State is="good">published</State> : <State is="quiet">not published</State>}</td>
                      <td>
                        <Time at={entry['updated_at'] as string} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
              <p className="paging">
                <span className="meta">
                  {skip + 1} to {skip + entries.length} of {count}
                </span>
                <button
                  type="button"
                  disabled={skip === 0}
                  onClick={() => navigate(`${base}?locale=${locale}&skip=${skip - pageSize}${inBranch}`)}
                >
                  Previous
                </button>
                <button
                  type="button"
                  disabled={skip + entries.length >= count}
                  onClick={() => navigate(`${base}?locale=${locale}&skip=${skip + pageSize}${inBranch}`)}
                >
                  Next
                </button>
              </p>
            </>
          )
        }
      </Await>
    </>
  )
}

function published(entry: EntryData): boolean {
  const details = entry['publish_details']
  return Array.isArray(details) && details.length > 0
}
