package gateway_test

import (
	"math/big"
	"regexp/syntax"
	"slices"
	"strings"
)

// matching are strings at the edges of what a pattern describes: the first and the last character of each class, the
// fewest and the most repetitions and one less and more, each alternative. Each part is varied by itself, the others
// stay at their first.
func matching(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{string(re.Rune)}
	case syntax.OpCharClass:
		var all []string
		for i := 0; i < len(re.Rune); i += 2 {
			last := re.Rune[i+1]
			if last > 0xff { // "anything else": outside of ASCII is as good as any
				last = 'é'
			}
			all = append(all, string(max(re.Rune[i], 0)), string(last))
		}
		if preferred := slices.IndexFunc(all, func(s string) bool { return s[0] > ' ' && s[0] < 0x7f }); preferred > 0 {
			all[0], all[preferred] = all[preferred], all[0]
		}
		return all
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return []string{"a"}
	case syntax.OpCapture:
		return matching(re.Sub[0])
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			all = append(all, matching(sub)...)
		}
		return all
	case syntax.OpConcat:
		parts := make([][]string, len(re.Sub))
		for i, sub := range re.Sub {
			parts[i] = matching(sub)
		}
		var all []string
		for i, part := range parts {
			for j, choice := range part {
				if i > 0 && j == 0 {
					continue // is the first of all
				}
				var text strings.Builder
				for k := range parts {
					if k == i {
						text.WriteString(choice)
					} else {
						text.WriteString(parts[k][0])
					}
				}
				all = append(all, text.String())
			}
		}
		return all
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		edges := map[syntax.Op][2]int{
			syntax.OpStar: {0, -1}, syntax.OpPlus: {1, -1}, syntax.OpQuest: {0, 1}, syntax.OpRepeat: {re.Min, re.Max},
		}[re.Op]
		least, most := edges[0], edges[1]
		if most < 0 {
			most = least + 2
		}
		inner := matching(re.Sub[0])
		last := inner[len(inner)-1]
		all := []string{
			strings.Repeat(inner[0], least), strings.Repeat(inner[0], max(least-1, 0)), strings.Repeat(inner[0], most+1),
			strings.Repeat(inner[0], most), strings.Repeat(last, most), strings.Repeat(last, most+1),
		}
		for _, one := range inner {
			all = append(all, strings.Repeat(one, max(least, 1)))
		}
		return all
	default: // anchors and the empty match
		return []string{""}
	}
}

// neighbours differ from a text by one character: left out, doubled, or exchanged for the one before or behind it in
// Unicode; and in the middle for those that such languages like to give a meaning. Of long texts the ends and the middle
// are changed.
func neighbours(text string) []string {
	runes := []rune(text)
	places := []int{0, 1, len(runes) / 2, len(runes) - 2, len(runes) - 1}
	if len(runes) <= 12 {
		places = places[:0]
		for i := range runes {
			places = append(places, i)
		}
	}
	all := []string{" " + text, text + " ", text + "\n", text + "0", text + "é", text + text}
	for _, i := range places {
		if i < 0 || i >= len(runes) {
			continue
		}
		before, after := string(runes[:i]), string(runes[i+1:])
		all = append(all, before+after, before+string(runes[i])+string(runes[i])+after, before+string(runes[i]+1)+after)
		if runes[i] > 0 {
			all = append(all, before+string(runes[i]-1)+after)
		}
		if i == len(runes)/2 {
			for _, other := range `0A%,=" ` {
				all = append(all, before+string(other)+after)
			}
		}
	}
	return all
}

// decimalNeighbours are a number, those beside it, and the same with a fraction.
func decimalNeighbours(number string) []string {
	value, ok := new(big.Int).SetString(number, 10)
	if !ok {
		return nil
	}
	one := big.NewInt(1)
	return []string{
		number, new(big.Int).Sub(value, one).String(), new(big.Int).Add(value, one).String(), "-" + number, number + ".5", number + "0",
	}
}
