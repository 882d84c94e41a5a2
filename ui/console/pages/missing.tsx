// An address with no page.
import { Link } from 'react-router'
import { PageHead } from '../frame.tsx'

export function Missing() {
  return (
    <>
      <PageHead title="There is no such page" />
      <p>
        The address may be mistyped, or the page has moved. <Link to="/">Overview</Link> leads everywhere.
      </p>
    </>
  )
}
