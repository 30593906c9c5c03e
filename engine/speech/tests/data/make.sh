#!/bin/sh
# Makes the recordings in this folder anew: sh make.sh
# Needs espeak-ng (1.51), flite (2.2) and sox. All audio goes through 8 kHz μ-law, as a call's does.
set -eu
cd "$(dirname "$0")"

telephone() { # FILE: standard input (WAV) as heard over the telephone
    sox -t wav - -t raw -r 8000 -c 1 -e mu-law - | sox -t raw -r 8000 -c 1 -e mu-law - -b 16 -e signed-integer "$1"
}

person="I would like to speak to a person please"
espeak-ng -v en-us --stdout "$person" | telephone person-espeak.wav
flite -voice slt -t "$person" -o /dev/stdout | telephone person-flite.wav
flite -voice awb -t "seven three five" -o /dev/stdout | telephone digits-flite.wav
