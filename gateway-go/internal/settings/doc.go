// Package settings reads the settings of a program: flags over environment over file over defaults. What is unknown or
// contradictory is an error that names it.
package settings
