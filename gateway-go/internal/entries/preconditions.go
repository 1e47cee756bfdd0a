package entries

import (
	"net/http"
	"slices"

	"bimetal.dev/contract"
	cachev1 "bimetal.dev/contract/gen/bimetal/cache/v1"
	"bimetal.dev/gateway/internal/problem"
	"bimetal.dev/gateway/internal/syntax"
)

// maxTags is how many tags the precondition of a write may have: a node takes as many versions.
const maxTags = 16

// conditions are If-Match and If-None-Match; nil: the field is absent.
type conditions struct{ match, noneMatch *syntax.Tags }

func readConditions(header http.Header) (conditions, error) {
	var c conditions
	for _, field := range []struct {
		name string
		into **syntax.Tags
	}{{"If-Match", &c.match}, {"If-None-Match", &c.noneMatch}} {
		lines := header[field.name]
		if len(lines) == 0 {
			continue
		}
		tags, err := syntax.ParseTags(lines)
		if err != nil {
			return conditions{}, problem.Invalid(problem.InHeader, field.name, "%v", err)
		}
		*field.into = &tags
	}
	return c, nil
}

// forWrite is what must hold for a write. never says that nothing can fulfil it: only weak or foreign tags.
func (c conditions) forWrite() (precondition *cachev1.Precondition, never bool, err error) {
	return WritePrecondition(c.match, c.noneMatch, problem.InHeader+"If-Match", problem.InHeader+"If-None-Match")
}

// WritePrecondition makes a precondition of tags that were found at the named places; nil tags: absent.
func WritePrecondition(match, noneMatch *syntax.Tags, matchPlace, nonePlace string) (*cachev1.Precondition, bool, error) {
	if noneMatch != nil {
		if !noneMatch.Any {
			return nil, false, problem.Invalid("", nonePlace, `on a write only "*" is allowed`)
		}
		if match != nil {
			return nil, false, problem.Invalid("", nonePlace, "contradicts If-Match: no entry can be absent and present")
		}
		return contract.IfAbsent(), false, nil
	}
	if match == nil {
		return nil, false, nil
	}
	if match.Any {
		return contract.IfPresent(), false, nil
	}
	if match.Count > maxTags {
		return nil, false, problem.Invalid("", matchPlace, "has %d tags; at most %d are allowed on a write", match.Count, maxTags)
	}
	versions := slices.Clone(match.Strong)
	slices.Sort(versions)
	versions = slices.Compact(versions)
	if len(versions) == 0 {
		return nil, true, nil
	}
	return contract.IfVersion(versions...), false, nil
}

// known is the one version that a reader has, if it names exactly one: then the node need not send the value.
func (c conditions) known() *uint64 {
	if c.match != nil || c.noneMatch == nil || c.noneMatch.Any || len(c.noneMatch.Strong)+len(c.noneMatch.Weak) != 1 {
		return nil
	}
	for _, version := range c.noneMatch.Weak {
		return &version
	}
	return &c.noneMatch.Strong[0]
}

// judge is what the conditions mean for a read of a live entry, or of none (version 0), in the order of RFC 9110,
// section 13.2.2: failed is 412, notModified is 304.
func (c conditions) judge(version uint64) (failed, notModified bool) {
	if c.match != nil && (version == 0 || !c.match.Any && !slices.Contains(c.match.Strong, version)) {
		return true, false
	}
	if c.noneMatch != nil && version != 0 &&
		(c.noneMatch.Any || slices.Contains(c.noneMatch.Strong, version) || slices.Contains(c.noneMatch.Weak, version)) {
		return false, true
	}
	return false, false
}

// failedPrecondition is 412 with the current version, 0 for none.
func failedPrecondition(current uint64) *contract.Error {
	err := contract.Errorf(contract.PreconditionFailed, "there is no live entry")
	if current != 0 {
		err = contract.Errorf(contract.PreconditionFailed, "the live entry has the version %d", current)
	}
	err.Detail.CurrentVersion = &current
	return err
}
